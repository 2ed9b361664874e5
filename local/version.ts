/** The version of this checkout, from package.json; for the greeting, `millrace version` and status. */
import { readFileSync } from 'node:fs';
import { isFields } from '#api/meta/v1/field-reader';

export function readVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  const value: unknown = JSON.parse(text);
  const version = isFields(value) ? value['version'] : null;
  return typeof version === 'string' ? version : 'unknown';
}
