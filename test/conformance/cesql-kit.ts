/**
 * Runs the CESQL v1 technology compatibility kit (`data/cesql-tck`) over `lib/filters/cesql`.
 * Invariant: expressions are taken as the YAML file spells them (an unquoted `TRUE` is the text
 * "TRUE"), results are compared with their type, and a case without `error` must be free of errors.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type AttributeValue, type CloudEvent, NO_EXTENSIONS } from '#lib/cloudevents/cloud-event';
import { compileCesql } from '#lib/filters/cesql/expression';
import type { CesqlErrorKind, CesqlValue } from '#lib/filters/cesql/syntax';
import type { ConformanceKit, KitFailure, KitResult } from '#test/conformance/conformance-kit';
import { isMap, isScalar, isSeq, parseDocument, type YAMLMap } from 'yaml';

const KIT_FOLDER = join(import.meta.dirname, 'data', 'cesql-tck');

export const cesqlKit: ConformanceKit = { name: 'CESQL v1', run: runCesqlKit };

async function runCesqlKit(): Promise<KitResult> {
  const names = (await readdir(KIT_FOLDER)).filter((name) => name.endsWith('.yaml')).sort();
  const failures: KitFailure[] = [];
  let total = 0;
  for (const name of names) {
    const document = parseDocument(await readFile(join(KIT_FOLDER, name), 'utf8'));
    const tests = document.get('tests');
    if (!isSeq(tests)) throw new Error(`no tests in ${name}`);
    for (const test of tests.items) {
      if (!isMap(test)) throw new Error(`a test in ${name} is no map`);
      total += 1;
      const reason = reasonOfFailure(test);
      if (reason !== null) failures.push({ caseName: `${name}: ${textAt(test, 'name')}`, reason });
    }
  }
  return { total, failures };
}

/** `null` when the case passes. */
function reasonOfFailure(test: YAMLMap): string | null {
  const { value, errors } = evaluateText(textAt(test, 'expression'), eventOf(test));
  const wantedError = test.get('error');
  if (wantedError === undefined && errors.length > 0) return `unexpected errors ${errors.join()}`;
  if (wantedError !== undefined && !errors.some((kind) => kind === wantedError)) {
    return `wanted error ${String(wantedError)}, got [${errors.join()}]`;
  }
  if (!test.has('result')) return null;
  const wanted = test.get('result');
  if (isDeepStrictEqual(value, wanted)) return null;
  return `wanted ${JSON.stringify(wanted)}, got ${JSON.stringify(value)}`;
}

/** An expression that does not parse has the value false, as the kit has it. */
function evaluateText(
  text: string,
  event: CloudEvent,
): { readonly value: CesqlValue; readonly errors: readonly CesqlErrorKind[] } {
  const compiled = compileCesql(text);
  if (!compiled.ok) return { value: false, errors: [compiled.error.kind] };
  const { value, errors } = compiled.expression.evaluate(event);
  return { value, errors: errors.map((error) => error.kind) };
}

/** The scalar as text: the string value of a quoted one, the spelling of any other. */
function textAt(map: YAMLMap, key: string): string {
  const node = map.get(key, true);
  if (!isScalar(node)) throw new Error(`"${key}" is no scalar`);
  return typeof node.value === 'string' ? node.value : (node.source ?? String(node.value));
}

function eventOf(test: YAMLMap): CloudEvent {
  const whole = test.get('event');
  if (isMap(whole)) return toEvent(attributesOf(whole));
  const attributes = new Map<string, AttributeValue>([
    ['specversion', '1.0'],
    ['id', 'test-event'],
    ['source', 'urn:conformance:cesql'],
    ['type', 'test.event'],
  ]);
  const overrides = test.get('eventOverrides');
  if (isMap(overrides)) {
    for (const [name, value] of attributesOf(overrides)) attributes.set(name, value);
  }
  return toEvent(attributes);
}

function attributesOf(map: YAMLMap): Map<string, AttributeValue> {
  const attributes = new Map<string, AttributeValue>();
  for (const { key, value } of map.items) {
    if (!isScalar(key) || !isScalar(value)) throw new Error('an attribute is no scalar');
    const attribute = value.value;
    const isValue =
      typeof attribute === 'string' ||
      typeof attribute === 'number' ||
      typeof attribute === 'boolean';
    if (!isValue) throw new Error(`attribute ${String(key.value)} has no value`);
    attributes.set(String(key.value), attribute);
  }
  return attributes;
}

function toEvent(attributes: Map<string, AttributeValue>): CloudEvent {
  const take = (name: string): string | null => {
    const value = attributes.get(name);
    attributes.delete(name);
    return value === undefined ? null : String(value);
  };
  return {
    specversion: take('specversion') === '0.3' ? '0.3' : '1.0',
    id: take('id') ?? '',
    source: take('source') ?? '',
    type: take('type') ?? '',
    subject: take('subject'),
    time: take('time'),
    datacontenttype: take('datacontenttype'),
    dataschema: take('dataschema'),
    extensions: attributes.size === 0 ? NO_EXTENSIONS : attributes,
    data: null,
  };
}
