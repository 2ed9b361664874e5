import assert from 'node:assert/strict';
import { test } from 'node:test';
import { channelError } from '#lib/channel/channel-errors';
import { silentLogger } from '#lib/telemetry/log';
import { createManualClock } from '#lib/time/manual-clock';
import { Checkpoint, CHECKPOINT_COUNT, CHECKPOINT_MS, SPAN_COUNT_MAX } from './checkpoint.ts';

function bench(committed = 0) {
  const clock = createManualClock();
  const writes: number[] = [];
  const state = { staleCount: 0, fault: null as Error | null, gate: Promise.resolve() };
  const checkpoint = new Checkpoint(
    {
      clock,
      logger: silentLogger,
      write: async (offset) => {
        writes.push(offset);
        await state.gate;
        if (state.fault !== null) throw state.fault;
      },
      onStale: () => (state.staleCount += 1),
    },
    committed,
  );
  return { clock, writes, state, checkpoint };
}

test('it writes after its time, or at once after its count of events', async () => {
  const { clock, writes, checkpoint } = bench();
  // The first writes of a life come in smaller steps.
  for (let at = 1; at <= 100; at++) {
    checkpoint.advance(at);
    await clock.advance(CHECKPOINT_MS);
  }
  assert.equal(checkpoint.committed, 100);
  writes.length = 0;
  checkpoint.advance(101);
  await clock.advance(CHECKPOINT_MS - 1);
  assert.deepEqual(writes, []);
  await clock.advance(1);
  assert.deepEqual(writes, [101]);
  checkpoint.advance(100 + CHECKPOINT_COUNT);
  await clock.advance(0);
  assert.deepEqual(writes, [101]);
  checkpoint.advance(101 + CHECKPOINT_COUNT);
  await clock.advance(0);
  assert.deepEqual(writes, [101, 101 + CHECKPOINT_COUNT]);
});

test('the position is committed only once its write is done, one write at a time', async () => {
  const { clock, writes, state, checkpoint } = bench();
  let open = (): void => undefined;
  state.gate = new Promise((resolve) => (open = resolve));
  checkpoint.advance(2_000);
  await clock.advance(0);
  checkpoint.advance(3_500);
  await clock.advance(10_000);
  assert.deepEqual(writes, [2_000]);
  assert.equal(checkpoint.committed, 0);
  open();
  await clock.advance(CHECKPOINT_MS);
  assert.deepEqual(writes, [2_000, 3_500]);
  assert.equal(checkpoint.committed, 3_500);
});

test('a reader that is too far ahead waits for the next checkpoint', async () => {
  const { clock, state, checkpoint } = bench(10);
  state.fault = new Error('full');
  checkpoint.advance(10 + SPAN_COUNT_MAX - 1);
  assert.equal(checkpoint.room(), null);
  checkpoint.advance(10 + SPAN_COUNT_MAX);
  assert.equal(checkpoint.isFull, true);
  const room = checkpoint.room();
  assert.notEqual(room, null);
  await clock.advance(5_000);
  assert.equal(checkpoint.isFull, true, 'a failure frees nothing');
  state.fault = null;
  await clock.advance(CHECKPOINT_MS);
  await room;
  assert.equal(checkpoint.isFull, false);
});

test('a failure is tried again; a stale epoch is told once, and is nobody else’s after the end', async () => {
  const { clock, writes, state, checkpoint } = bench();
  state.fault = new Error('full');
  checkpoint.advance(5);
  await clock.advance(3 * CHECKPOINT_MS);
  assert.ok(writes.length >= 2, `${writes.length}`);
  state.fault = channelError('CHANNEL_EPOCH_STALE', 'stale');
  await clock.advance(CHECKPOINT_MS);
  assert.equal(state.staleCount, 1);
  const other = bench();
  let open = (): void => undefined;
  other.state.gate = new Promise((resolve) => (open = resolve));
  other.state.fault = channelError('CHANNEL_EPOCH_STALE', 'stale');
  other.checkpoint.advance(5);
  await other.clock.advance(CHECKPOINT_MS);
  other.checkpoint.close();
  open();
  await other.clock.advance(10_000);
  assert.equal(other.state.staleCount, 0, 'a checkpoint that was replaced stops nobody');
  assert.equal(other.writes.length, 1);
});

test('flush waits for the write under way and writes the rest; closing writes nothing more', async () => {
  const { clock, writes, state, checkpoint } = bench();
  let open = (): void => undefined;
  state.gate = new Promise((resolve) => (open = resolve));
  checkpoint.advance(1_000);
  await clock.advance(0);
  checkpoint.advance(1_001);
  const flushed = checkpoint.flush();
  open();
  await flushed;
  assert.deepEqual(writes, [1_000, 1_001]);
  checkpoint.advance(2_500);
  checkpoint.close();
  await clock.advance(10_000);
  assert.equal(writes.at(-1), checkpoint.committed);
  assert.equal(checkpoint.room(), null, 'nobody waits for a checkpoint that is closed');
});

test('flush passes the failure on', async () => {
  const { state, checkpoint } = bench();
  state.fault = new Error('full');
  checkpoint.advance(1);
  await assert.rejects(checkpoint.flush(), /full/);
  assert.equal(checkpoint.committed, 0);
});
