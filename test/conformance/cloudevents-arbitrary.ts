/**
 * Legal events for property tests of the CloudEvents codec. The rules are written out here a second
 * time, from the specification, so that the codec is not tested with its own checks.
 */
import fc from 'fast-check';
import { NO_EXTENSIONS } from '#lib/cloudevents/cloud-event';
import type { AttributeValue, CloudEvent } from '#lib/cloudevents/cloud-event';

const codePoint = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0x20, max: 0x7e }) },
  { weight: 1, arbitrary: fc.constantFrom(0x22, 0x25, 0x5c, 0x20, 0x2b, 0x41) },
  { weight: 1, arbitrary: fc.integer({ min: 0xa0, max: 0xd7ff }) },
  { weight: 1, arbitrary: fc.constantFrom(0xe000, 0xfdcf, 0xfdf0, 0xfeff, 0xfffd) },
  { weight: 1, arbitrary: fc.integer({ min: 0x10000, max: 0x1fffd }) },
);

const character = codePoint.map((code) => String.fromCodePoint(code));

/** Any String of the CloudEvents type system, at least one character of it not a space. */
export const attributeString = fc
  .tuple(fc.string({ unit: character, maxLength: 20 }), fc.constantFrom('', 'x', '€'))
  .map(([text, end]) => (/[^ ]/.test(text + end) ? text + end : `${text}y`));

const source = fc.oneof(
  fc.constantFrom(
    'urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66',
    '1-555-123-4567',
    '?q',
    '/a#b:c',
  ),
  fc.webUrl({ withFragments: true, withQueryParameters: true }),
  fc.webPath().map((path) => `/x${path}`),
);

const pair = (max: number) => fc.integer({ min: 0, max }).map((n) => String(n).padStart(2, '0'));

const time = fc
  .tuple(
    fc.integer({ min: 0, max: 9999 }).map((year) => String(year).padStart(4, '0')),
    fc.integer({ min: 1, max: 12 }).map((month) => String(month).padStart(2, '0')),
    fc.integer({ min: 1, max: 28 }).map((day) => String(day).padStart(2, '0')),
    fc.tuple(pair(23), pair(59), pair(59)).map((parts) => parts.join(':')),
    fc.oneof(fc.constant(''), fc.stringMatching(/^\.[0-9]{1,12}$/)),
    fc.oneof(
      fc.constantFrom('Z', 'z', '+00:00', '-00:00'),
      fc
        .tuple(fc.constantFrom('+', '-'), pair(23), pair(59))
        .map(([sign, h, m]) => `${sign}${h}:${m}`),
    ),
  )
  .map(
    ([year, month, day, clock, fraction, zone]) =>
      `${year}-${month}-${day}T${clock}${fraction}${zone}`,
  );

export const MEDIA_TYPES: readonly string[] = [
  'application/json',
  'application/json; charset=utf-8',
  'application/vnd.example.v1+json',
  'text/json',
  'text/plain',
  'text/plain; charset=iso-8859-1',
  'text/csv;header=present',
  'application/xml',
  'image/svg+xml',
  'application/octet-stream',
  'image/png',
  'application/cbor',
  'application/x-protobuf; messageType="a.b.C"',
  'multipart/form-data; boundary=----x',
  'application/x-www-form-urlencoded',
];

const CORE_NAMES: ReadonlySet<string> = new Set([
  'specversion',
  'id',
  'source',
  'type',
  'subject',
  'time',
  'datacontenttype',
  'dataschema',
  'schemaurl',
  'datacontentencoding',
  'data',
]);

const extensionName = fc.stringMatching(/^[a-z0-9]{1,20}$/).filter((name) => !CORE_NAMES.has(name));

const extensionValue: fc.Arbitrary<AttributeValue> = fc.oneof(
  { weight: 4, arbitrary: fc.oneof(attributeString, fc.constantFrom('', ' ', 'true', '7')) },
  { weight: 1, arbitrary: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }) },
  { weight: 1, arbitrary: fc.boolean() },
);

export const dataBytes: fc.Arbitrary<Buffer> = fc.oneof(
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
  fc.json({ noUnicodeString: false }).map((text) => Buffer.from(text)),
  fc
    .constantFrom('', ' ', 'null', '"\\ud800"', '1e400', '12345678901234567890', ' {"a": 1}\n')
    .map((text) => Buffer.from(text)),
  attributeString.map((text) => Buffer.from(text)),
);

/** A legal event of either version, with every field and data of every kind. */
export const legalEvent: fc.Arbitrary<CloudEvent> = fc.record(
  {
    specversion: fc.constantFrom('1.0', '1.0', '0.3'),
    id: attributeString,
    source,
    type: attributeString,
    subject: fc.option(attributeString),
    time: fc.option(time),
    datacontenttype: fc.option(fc.constantFrom(...MEDIA_TYPES)),
    dataschema: fc.option(fc.webUrl({ withFragments: true })),
    extensions: fc
      .uniqueArray(fc.tuple(extensionName, extensionValue), {
        maxLength: 6,
        selector: ([name]) => name,
      })
      .map((entries) => (entries.length === 0 ? NO_EXTENSIONS : new Map(entries))),
    data: fc.option(dataBytes),
  },
  { noNullPrototype: true },
);
