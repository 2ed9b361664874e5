/**
 * The JSON Schema that the specification publishes for the JSON format, against our codec: each
 * property takes the JSON types the schema gives it and no other, and what we encode satisfies it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeJsonEvent } from '#lib/cloudevents/json-decode';
import { encodeStructured } from '#lib/cloudevents/http-encode';
import { DEFAULT_CLOUD_EVENT_LIMITS as limits } from '#lib/cloudevents/limits';
import { legalEvent } from '#test/conformance/cloudevents-arbitrary';
import schema from './data/cloudevents/cloudevents.json' with { type: 'json' };

interface Definition {
  readonly types: readonly string[];
  readonly lengthMin: number;
}

/** The definition of each property, references resolved. */
const PROPERTIES: ReadonlyMap<string, Definition> = new Map(
  Object.entries(schema.properties).map(([name, { $ref }]) => {
    const found = Object.entries(schema.definitions).find(
      ([key]) => $ref === `#/definitions/${key}`,
    );
    assert(found !== undefined, $ref);
    const [, definition] = found;
    const lengthMin = 'minLength' in definition ? definition.minLength : 0;
    return [name, { types: [definition.type].flat(), lengthMin }];
  }),
);

const GOOD: Readonly<Record<string, unknown>> = {
  specversion: '1.0',
  id: 'i',
  source: '/s',
  type: 't',
  datacontenttype: 'text/plain',
  dataschema: 'urn:x',
  subject: 'u',
  time: '2026-01-31T12:00:00Z',
  data: 'x',
  data_base64: 'AA==',
};

const SAMPLES: Readonly<Record<string, unknown>> = {
  object: {},
  array: [],
  number: 1,
  boolean: true,
  null: null,
};

function isTaken(members: Readonly<Record<string, unknown>>): boolean {
  return decodeJsonEvent(Buffer.from(JSON.stringify(members)), limits).ok;
}

function requiredOnly(): Record<string, unknown> {
  return Object.fromEntries(schema.required.map((name) => [name, GOOD[name]]));
}

test('exactly the required properties are required', () => {
  assert(isTaken(requiredOnly()));
  for (const name of schema.required) {
    const members = requiredOnly();
    delete members[name];
    assert.equal(isTaken(members), false, name);
  }
});

test('each property takes the types that the schema gives it', () => {
  for (const [name, { types, lengthMin }] of PROPERTIES) {
    assert.equal(isTaken({ ...requiredOnly(), [name]: GOOD[name] }), true, name);
    for (const [type, sample] of Object.entries(SAMPLES)) {
      const isAllowed = types.includes(type);
      assert.equal(isTaken({ ...requiredOnly(), [name]: sample }), isAllowed, `${name}: ${type}`);
    }
    assert.equal(isTaken({ ...requiredOnly(), [name]: '' }), lengthMin === 0, `${name}: empty`);
  }
});

test('the examples of the schema are taken', () => {
  for (const [name, property] of Object.entries(schema.properties)) {
    const examples = 'examples' in property ? property.examples : [];
    for (const example of examples) {
      assert(isTaken({ ...requiredOnly(), [name]: example }), `${name}: ${example}`);
    }
  }
});

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

test('every 1.0 event that we encode satisfies the schema', () => {
  fc.assert(
    fc.property(legalEvent, (event) => {
      const { body } = encodeStructured({ ...event, specversion: '1.0' });
      const members: unknown = JSON.parse(body.toString('utf8'));
      assert(typeof members === 'object' && members !== null);
      for (const name of schema.required) assert(Object.hasOwn(members, name), name);
      for (const [name, value] of Object.entries(members)) {
        const definition = PROPERTIES.get(name);
        if (definition === undefined) {
          assert(['string', 'number', 'boolean'].includes(typeOf(value)), name);
          continue;
        }
        assert(definition.types.includes(typeOf(value)), name);
        assert(typeof value !== 'string' || value.length >= definition.lengthMin, name);
      }
    }),
    { numRuns: 300 },
  );
});
