/**
 * Every row of the catalogue against the real ingress over the memory driver: the answers, what is
 * stored, what is counted, and a good event right behind it.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { EventRecord } from '#lib/channel/event-record';
import { TOPIC, startIngress } from '#services/ingress/ingress-fixture';
import type { IngressFixture } from '#services/ingress/ingress-fixture';
import { RawClient, rawRequest, sendOnce } from '#services/ingress/raw-client';
import { eventually } from '../kit/eventually.ts';
import type { BadInputRow, ExpectedRecord } from './bad-input-row.ts';
import { CATALOGUE, rowTitle } from './catalogue.ts';
import { runRow } from './row-run.ts';

const ACCEPTED = 'millrace.ingress.accepted';
const REFUSED = 'millrace.ingress.refused';

let fixture: IngressFixture;
let hurried: IngressFixture;
before(async () => {
  fixture = await startIngress({ settings: { brokerWaitMs: 5 } });
  hurried = await startIngress({ settings: { headersTimeoutMs: 150, requestTimeoutMs: 250 } });
});
after(async () => {
  await fixture[Symbol.asyncDispose]();
  await hurried[Symbol.asyncDispose]();
});

for (const row of CATALOGUE) {
  test(rowTitle(row), async () => {
    const mesh = row.isHurried ? hurried : fixture;
    const first = await storedEnd(mesh);
    const acceptedBefore = mesh.metric(ACCEPTED);
    const refusedBefore = mesh.metric(REFUSED);
    const codes = codesOf(row);
    const before = codes.map((code) => mesh.metric(REFUSED, code));
    await runRow(mesh.port, row);
    await eventually(
      'every refusal counted',
      () => mesh.metric(REFUSED) >= refusedBefore + codes.length,
    );
    assert.equal((await storedEnd(mesh)) - first, row.storedCount, 'stored');
    assert.equal(mesh.metric(ACCEPTED) - acceptedBefore, row.storedCount, 'counted as accepted');
    assert.equal(mesh.metric(REFUSED) - refusedBefore, codes.length, 'refused in all');
    for (const [at, code] of codes.entries()) {
      const count = codes.filter((other) => other === code).length;
      assert.equal(mesh.metric(REFUSED, code) - (before[at] ?? 0), count, code);
    }
    if (row.record !== null) holdRecord(await lastRecord(mesh), row.record);
    assert.equal((await sendOnce(mesh.port, rawRequest()))?.status, 202);
    assert.deepEqual(mesh.bugs, []);
  });
}

function codesOf({ answers, silentCode }: BadInputRow): readonly string[] {
  const codes = answers.map(({ code }) => code);
  return [...codes, silentCode].filter((code) => code !== null);
}

async function storedEnd(mesh: IngressFixture): Promise<number> {
  return (await mesh.driver.log.ends(TOPIC))[0]?.next ?? 0;
}

async function lastRecord(mesh: IngressFixture): Promise<EventRecord> {
  const reader = await mesh.driver.log.read(TOPIC, 0, (await storedEnd(mesh)) - 1);
  const [entry] = await reader.next(1, Number.MAX_SAFE_INTEGER);
  reader.close();
  assert.equal(entry?.record.kind, 'event');
  assert(entry.record.kind === 'event');
  return entry.record;
}

function holdRecord(record: EventRecord, expected: ExpectedRecord): void {
  const { event } = record;
  if (expected.id !== undefined) assert.equal(event.id, expected.id);
  if (expected.subject !== undefined) assert.equal(event.subject, expected.subject);
  if (expected.data !== undefined)
    assert.equal(event.data?.toString('latin1') ?? null, expected.data);
  if (expected.datacontenttype !== undefined) {
    assert.equal(event.datacontenttype, expected.datacontenttype);
  }
  for (const [name, value] of Object.entries(expected.extensions ?? {})) {
    assert.equal(event.extensions.get(name) ?? null, value, name);
  }
  if (expected.ttl !== undefined) assert.equal(record.ttl, expected.ttl);
  if (expected.passThrough !== undefined) {
    assert.deepEqual(record.passThrough, expected.passThrough);
  }
}

test('I-26, I-47 nothing has reached a prototype', () => {
  assert.equal(Object.getPrototypeOf({}), Object.prototype);
  assert.equal('x' in {}, false);
});

test('five thousand refusals leave nothing in flight', async () => {
  const client = await RawClient.open(fixture.port);
  const bad = rawRequest({ without: ['ce-id'] });
  for (let round = 0; round < 100; round++) {
    client.send(bad.repeat(50));
    for (let count = 0; count < 50; count++) assert.equal((await client.answer())?.status, 400);
  }
  client.end();
  assert.equal(fixture.metric('millrace.ingress.in_flight'), 0);
});

test('after all of it nothing is in flight and no connection is open', async () => {
  for (const mesh of [fixture, hurried]) {
    await eventually('no connections', () => mesh.metric('millrace.ingress.connections') === 0);
    assert.equal(mesh.metric('millrace.ingress.in_flight'), 0);
  }
});
