/** The bench counts what it says it counts: its events are events, and its sink sees every fault. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { HTTP } from 'cloudevents';
import type { CloudEvent } from 'cloudevents';
import { createEventTemplate, DATA_BYTES, nowMicros } from '../bench/bench-event.ts';
import type { BenchEncoding } from '../bench/bench-event.ts';
import { CountingServer } from '../bench/sink/counting-server.ts';
import { HttpConnection } from './http-connection.ts';

function template(encoding: BenchEncoding, path = '/t/0'): ReturnType<typeof createEventTemplate> {
  return createEventTemplate({ host: 'x', path, encoding, type: 'order.7', keyCount: 1_000 });
}

function split(request: string): {
  readonly headers: Record<string, string>;
  readonly body: string;
} {
  const end = request.indexOf('\r\n\r\n');
  const lines = request.slice(0, end).split('\r\n').slice(1);
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
  );
  return { headers, body: request.slice(end + 4) };
}

for (const encoding of ['binary', 'structured'] as const) {
  test(`${encoding}: the request is an event of 1 KiB with the id and key of its number`, () => {
    const { bytes, write } = template(encoding);
    for (const id of [0, 7, 123_456]) {
      write(id, 1_234_567);
      const { headers, body } = split(bytes.toString('latin1'));
      assert.equal(Number(headers['content-length']), body.length);
      const event = HTTP.toEvent({ headers, body }) as CloudEvent<{ readonly t: string }>;
      assert.equal(event.validate(), true);
      assert.equal(Number(event.id), id);
      assert.equal(event['partitionkey'], String(id % 1_000).padStart(5, '0'));
      assert.equal(JSON.stringify(event.data).length, DATA_BYTES);
      assert.equal(event.data?.t, '0000000001234567');
    }
  });
}

async function startSink(t: TestContext): Promise<{
  readonly sink: CountingServer;
  post(bytes: Buffer): Promise<number>;
}> {
  const sink = new CountingServer();
  const port = await sink.listen();
  let answered: (status: number) => void = () => undefined;
  const connection = new HttpConnection('127.0.0.1', port, {
    opened: () => undefined,
    answered: (status) => answered(status),
    closed: () => undefined,
  });
  t.after(async () => {
    connection.close();
    await sink.close();
  });
  const post = (bytes: Buffer): Promise<number> =>
    new Promise((resolve) => {
      answered = resolve;
      connection.send(bytes);
    });
  return { sink, post };
}

test('the sink counts pairs, duplicates and latencies, and names what is lost', async (t) => {
  const { sink, post } = await startSink(t);
  sink.begin(2);
  const one = template('binary', '/t/0');
  const two = template('structured', '/t/1');
  const settled = sink.settled(5, 5_000);
  for (const id of [0, 1, 2]) {
    one.write(id, nowMicros() - 5_000);
    assert.equal(await post(one.bytes), 200);
  }
  await post(one.bytes);
  for (const id of [0, 2]) {
    two.write(id, nowMicros());
    await post(two.bytes);
  }
  await settled;
  assert.equal(sink.counts.pairCount, 5);
  assert.equal(sink.counts.duplicateCount, 1);
  assert.equal(sink.counts.corruptCount + sink.counts.misroutedCount, 0);
  assert.equal(sink.lostCount(Uint8Array.from([1, 1, 1])), 1);
  assert.equal(sink.lostCount(Uint8Array.from([1, 0, 1])), 0);
  const [lowest, highest] = sink.percentiles([0, 1]);
  assert.ok((lowest ?? 99) < 5 && (highest ?? 0) >= 5, `${lowest} ${highest}`);
  sink.begin(2);
  assert.equal(sink.counts.pairCount, 0);
  assert.equal(sink.lostCount(Uint8Array.from([1])), 2);
});

test('the sink sees changed bytes and events that belong nowhere', async (t) => {
  const { sink, post } = await startSink(t);
  sink.begin(1);
  const good = template('binary');
  const changed = Buffer.from(good.bytes);
  changed.write('?', changed.length - 20);
  await post(changed);
  await post(template('binary', '/t/1').bytes);
  await post(template('binary', '/miss').bytes);
  assert.equal(await post(template('binary', '/dead').bytes), 500);
  assert.equal(sink.counts.corruptCount, 1);
  assert.equal(sink.counts.misroutedCount, 2);
  assert.equal(sink.counts.pairCount, 0);
});
