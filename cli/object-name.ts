/** Names of objects on the command line: `NAME` is in namespace `default`, or `NAMESPACE/NAME`. */
import { InvalidArgumentError } from 'commander';
import { DEFAULT_NAMESPACE, isDnsLabel, isSubdomain } from '#api/meta/v1/object-meta';

export interface ObjectName {
  readonly namespace: string;
  readonly name: string;
}

/** @throws InvalidArgumentError, which commander shows with the option. */
export function parseObjectName(text: string): ObjectName {
  const slash = text.indexOf('/');
  const namespace = slash === -1 ? DEFAULT_NAMESPACE : text.slice(0, slash);
  const name = text.slice(slash + 1);
  if (isDnsLabel(namespace) && isSubdomain(name)) return { namespace, name };
  throw new InvalidArgumentError('wanted NAME or NAMESPACE/NAME, in lower case');
}

export function objectKeyOf({ namespace, name }: ObjectName): string {
  return `${namespace}/${name}`;
}
