/**
 * What the encoders of this folder change on the way out, so that the dispatcher can drop its own
 * bookkeeping and add error extensions without making another event.
 */
import type { AttributeValue } from './cloud-event.ts';

export interface EncodeOptions {
  /** Extensions to leave out. */
  readonly omit?: ReadonlySet<string>;
  /** Extensions to add, by legal name; one of the same name in the event is replaced. */
  readonly extra?: readonly ExtraExtension[];
}

export type ExtraExtension = readonly [name: string, value: AttributeValue];

export const NO_CHANGES: EncodeOptions = {};

/** True when the event's own extension of that name does not go out. */
export function isLeftOut(name: string, options: EncodeOptions): boolean {
  if (options.omit !== undefined && options.omit.has(name)) return true;
  return options.extra !== undefined && options.extra.some((added) => added[0] === name);
}
