/**
 * JSON: our grammar check against `JSON.parse`, one event, and batches. What is taken must be what
 * `JSON.parse` sees; what is refused as no JSON must be none.
 */
import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { attributeValue } from '#lib/cloudevents/cloud-event';
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import { decodeJsonBatch, decodeJsonEvent } from '#lib/cloudevents/json-decode';
import { isJsonValue } from '#lib/cloudevents/json-scan';
import { DEFAULT_CLOUD_EVENT_LIMITS as limits } from '#lib/cloudevents/limits';
import { isJsonMediaType } from '#lib/cloudevents/media-type';
import { createTarget } from '../fuzz-target.ts';
import { holdRoundTrips } from './round-trip.ts';

const DEPTH_MAX = 64;
const JSON_WORDS = [
  ...[
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '\\',
    '""',
    '{}',
    '[]',
    'null',
    'true',
    'false',
    '0',
    '-0',
  ],
  ...['1e5', '1E-5', '0.1', '-', '\\u00e9', '\\ud83d\\ude00', '\\ud800', '\\n', ' ', '\r\n\t'],
  ...['\u00c3\u00a9', '\u00f0\u009f\u0098\u0080', '\u00e2\u0080\u00a8', '\u00ef\u00bb\u00bf'],
  ...['[[[[[[[[[[[[[[[[', ']]]]]]]]]]]]]]]]', '"__proto__":'],
];
const EVENT_WORDS = [
  ...JSON_WORDS,
  ...['"specversion":"1.0"', '"specversion":"0.3"', '"id":"1"', '"source":"/a"', '"type":"t"'],
  ...['"data":', '"data_base64":"AA=="', '"datacontenttype":"text/plain"', '"time":', '"x":1'],
  ...['"datacontenttype":"application/x+json"', '"datacontentencoding":"base64"', '"schemaurl":'],
  ...['"dataschema":"a:b"', '"subject":"s"', '"x":null', '"x":true', '"\\u0069d":'],
];

export const JSON_GRAMMAR = createTarget('json-grammar', JSON_WORDS, (input) => {
  if (!isUtf8(input)) return;
  const parsed = parse(input);
  const isTaken = isJsonValue(input, { depthMax: DEPTH_MAX, keysMax: 1_000_000 });
  if (isTaken || parsed === null) assert.equal(isTaken, parsed !== null);
  else assert.ok(depthOf(parsed.value) > DEPTH_MAX, 'refused although it is JSON and not deep');
});

export const STRUCTURED_JSON = createTarget('structured-json', EVENT_WORDS, (input) => {
  const result = decodeJsonEvent(input, limits);
  const parsed = isUtf8(input) ? parse(input) : null;
  if (result.ok) {
    assert.ok(parsed !== null, 'taken although it is no JSON');
    holdEvent(result.event, parsed.value);
    holdRoundTrips(result.event);
  } else if (parsed !== null) {
    const { code } = result.error;
    assert.notEqual(code, 'CLOUDEVENTS_JSON_INVALID');
    const isDeep = code === 'CLOUDEVENTS_JSON_TOO_DEEP';
    if (isDeep) assert.ok(depthOf(parsed.value) > limits.jsonDepthMax);
    assert.ok(!isPlainEvent(parsed.value, input), `a plain event refused: ${code}`);
  }
});

export const JSON_BATCH = createTarget('json-batch', [...EVENT_WORDS, '},{'], (input) => {
  const result = decodeJsonBatch(input, limits);
  const parsed = isUtf8(input) ? parse(input) : null;
  if (!result.ok) {
    if (parsed !== null) assert.notEqual(result.error.code, 'CLOUDEVENTS_JSON_INVALID');
    return;
  }
  assert.ok(parsed !== null && Array.isArray(parsed.value), 'taken although it is no array');
  assert.equal(result.events.length, parsed.value.length);
  for (const [index, value] of parsed.value.entries()) {
    const event: CloudEvent | undefined = result.events[index];
    assert(event !== undefined);
    holdEvent(event, value);
    const alone = decodeJsonEvent(Buffer.from(JSON.stringify(value)), limits);
    assert.ok(alone.ok, 'an event of a batch is one alone too');
    assert.deepEqual({ ...alone.event, data: null }, { ...event, data: null });
  }
});

/** `null`: no JSON. */
function parse(input: Buffer): { readonly value: unknown } | null {
  try {
    return { value: JSON.parse(input.toString('utf8')) as unknown };
  } catch {
    return null;
  }
}

function depthOf(value: unknown): number {
  let depth = 0;
  let level: unknown[] = [value];
  while (level.length > 0) {
    level = level.filter((each) => typeof each === 'object' && each !== null);
    if (level.length > 0) depth += 1;
    level = level.flatMap((each) => Object.values(each as object));
  }
  return depth;
}

/** Every member is where it must be, and nothing was added. */
function holdEvent(event: CloudEvent, value: unknown): void {
  assert(typeof value === 'object' && value !== null);
  const members = Object.entries(value).filter(([, member]) => member !== null);
  let count = 0;
  for (const [name, member] of members) {
    if (name === 'data' || name === 'data_base64' || name === 'datacontentencoding') continue;
    count += 1;
    const wanted = Object.is(member, -0) ? 0 : member;
    assert.equal(attributeValue(event, name), wanted, name);
  }
  const { data_base64, data } = Object.fromEntries(members);
  const texts = [event.subject, event.time, event.datacontenttype, event.dataschema];
  const extensions = [...event.extensions.keys()].filter((name) => name !== 'datacontentencoding');
  const has = 4 + texts.filter((text) => text !== null).length + extensions.length;
  const isTyped = event.datacontenttype !== null && !members.some(([n]) => n === 'datacontenttype');
  assert.equal(has, count + (isTyped ? 1 : 0), 'no attribute from nowhere');
  if (typeof data_base64 === 'string') {
    assert.equal(event.data?.toString('base64'), data_base64);
  } else if (event.data !== null && event.specversion === '1.0') {
    const isJson = event.datacontenttype === null || isJsonMediaType(event.datacontenttype);
    const text = event.data.toString('utf8');
    assert.deepEqual(isJson ? (JSON.parse(text) ?? undefined) : text, data);
  }
}

/** So simple that there is nothing to refuse. */
function isPlainEvent(value: unknown, input: Buffer): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const entries = Object.entries(value);
  const names = new Set(entries.map(([name]) => name));
  const isComplete = ['specversion', 'id', 'source', 'type'].every((name) => names.has(name));
  return (
    isComplete &&
    entries.length === 4 &&
    entries.every(([, text]) => typeof text === 'string' && /^[a-z0-9./]{1,20}$/.test(text)) &&
    new Map(entries).get('specversion') === '1.0' &&
    input.toString('latin1').split(':').length === 5
  );
}
