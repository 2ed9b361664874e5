/**
 * The owner of the store is a process of its own, and is killed again and again while clients append,
 * put and settle over its socket. Whatever was acknowledged must be there afterwards, every call must
 * have ended, and the clients must come back by themselves.
 */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { createStoreClient } from '#channels/embedded/store-client';
import type { ChannelDriver } from '#lib/channel/channel-driver';
import { isMeshError } from '#lib/errors/mesh-error';
import { createSystemRandom } from '#lib/random/random';
import { silentLogger } from '#lib/telemetry/log';
import { sleep } from '#lib/time/clock';
import { createSystemClock } from '#lib/time/system-clock';
import { bulky, idsOf, pair, readAll } from './samples.ts';

const KILL_COUNT = 3;
const WRITER_COUNT = 8;
const TARGET = 'uid';
const clock = createSystemClock();

test('an owner killed under load loses nothing that it acknowledged', async () => {
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'millrace-owner-'));
  let owner = await startOwner(dataDir);
  const client = await createStoreClient(
    { clock, random: createSystemRandom(), logger: silentLogger },
    { dataDir },
  );
  try {
    await client.admin.ensureTopic('t', { partitions: 1 });
    const load = startLoad(client);
    for (let kills = 0; kills < KILL_COUNT; kills++) {
      await load.progress(200);
      owner.kill('SIGKILL');
      await once(owner, 'exit');
      owner = await startOwner(dataDir);
    }
    await load.progress(200);
    const { appended, put, settled, refusals } = await load.end();
    assert.ok(refusals > 0, 'some calls met a dead owner');

    const stored = new Set(idsOf(await readAll(client, 't')));
    const lost = [...appended].filter((id) => !stored.has(id));
    assert.deepEqual(lost, [], `of ${appended.size} acknowledged events`);
    const waiting = await client.waiting.peek({ target: TARGET, countMax: 100_000 });
    const kept = new Set(waiting.map(({ id }) => id));
    for (const id of put) assert.equal(kept.has(id), !settled.has(id), `pair ${id}`);
  } finally {
    await client.close();
    owner.kill('SIGKILL');
    await rm(dataDir, { recursive: true, force: true });
  }
});

async function startOwner(dataDir: string): Promise<ChildProcess> {
  const file = path.join(import.meta.dirname, 'store-owner-process.ts');
  // Without the flags of the test runner.
  const child = fork(file, [dataDir], { execArgv: [] });
  const [message] = await once(child, 'message');
  assert.equal(message, 'ready');
  return child;
}

interface Load {
  /** Resolves when that many more appends were acknowledged. */
  progress(count: number): Promise<void>;
  end(): Promise<LoadResult>;
}

interface LoadResult {
  readonly appended: ReadonlySet<string>;
  readonly put: ReadonlySet<number>;
  readonly settled: ReadonlySet<number>;
  readonly refusals: number;
}

/** Writers that append, put a pair, and settle every other one; each notes what was acknowledged. */
function startLoad(client: ChannelDriver): Load {
  const appended = new Set<string>();
  const put = new Set<number>();
  const settled = new Set<number>();
  let refusals = 0;
  let isOver = false;
  const retry = async <Value>(call: () => Promise<Value>): Promise<Value> => {
    for (;;) {
      try {
        return await call();
      } catch (error) {
        assert.ok(isMeshError(error, 'CHANNEL_NOT_CONNECTED'), String(error));
        refusals++;
        await sleep(clock, 5);
      }
    }
  };
  const write = async (writer: number): Promise<void> => {
    for (let n = 0; !isOver; n++) {
      const id = `${writer}/${n}`;
      const body = bulky(id, 200);
      const { offset } = await retry(() => client.log.append('t', body));
      appended.add(id);
      const row = pair('t', TARGET, offset, { record: body });
      const [pairId] = await retry(() => client.waiting.put([row], null));
      assert.ok(pairId !== undefined);
      // A put that was repeated replaces the row, so there is one id whatever happened.
      if (n % 2 === 0) {
        await retry(() => client.waiting.settle([pairId]));
        settled.add(pairId);
      }
      put.add(pairId);
    }
  };
  const writers = Array.from({ length: WRITER_COUNT }, (_, writer) => write(writer));
  return {
    async progress(count) {
      const wanted = appended.size + count;
      const endMs = clock.monotonicMs() + 30_000;
      while (appended.size < wanted) {
        assert.ok(clock.monotonicMs() < endMs, `${appended.size} of ${wanted} in 30 s`);
        await sleep(clock, 5);
      }
    },
    async end() {
      isOver = true;
      await Promise.all(writers);
      return { appended, put, settled, refusals };
    },
  };
}
