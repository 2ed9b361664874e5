/**
 * The store of a run. `memory`: the memory driver, which never dies. `embedded`: the real segment log
 * on the simulated disk and the real database executor, owned by one process life at a time; a crash
 * loses what the disk had not synced, and the next life recovers it.
 */
import { CursorMirror } from '#channels/embedded/cursor-mirror';
import { createCursorStore } from '#channels/embedded/cursor-store';
import { EmbeddedAdmin } from '#channels/embedded/embedded-admin';
import { openEmbeddedLog } from '#channels/embedded/embedded-log';
import { EMBEDDED_LOG_DEFAULTS } from '#channels/embedded/embedded-log-settings';
import { createWaitingStore } from '#channels/embedded/waiting-store';
import { createMemoryDriver } from '#channels/memory/memory-driver';
import type { ChannelDriver } from '#lib/channel/channel-driver';
import type { DiskFaultPlan } from '#lib/disk/faulty-disk';
import { createMemoryDisk } from '#lib/disk/memory-disk';
import type { Random } from '#lib/random/random';
import { createSeededRandom } from '#lib/random/random';
import { silentLogger } from '#lib/telemetry/log';
import { Life } from './life.ts';
import type { Oracle } from './oracle.ts';
import type { Scenario } from './scenario.ts';
import { createSimDisk } from './sim-disk.ts';
import { SimDatabase } from './sim-database.ts';
import type { SimTime } from './sim-time.ts';
import type { Trace } from './trace.ts';

export interface SimStoreDeps {
  readonly time: SimTime;
  readonly trace: Trace;
  readonly oracle: Oracle;
  readonly scenario: Scenario;
  readonly random: Random;
  /** Faults of the disk are over. */
  readonly isHealing: () => boolean;
}

const RESTART_MS = 300;
const TRIM_PERIOD_MS = 2_000;
const SEGMENT_BYTES = 64 * 1024;
/** Little, so that what nobody pins goes soon. */
const RETAINED_BYTES = 64 * 1024;

export class SimStore {
  readonly #deps: SimStoreDeps;
  readonly #disk = createMemoryDisk();
  readonly #database: SimDatabase | null;
  readonly #downs = new Set<() => void>();
  readonly #ups: (() => void)[] = [];
  #driver: ChannelDriver | null = null;
  #life: Life | null = null;
  #lifeCount = 0;

  constructor(deps: SimStoreDeps) {
    this.#deps = deps;
    this.#database = deps.scenario.store === 'embedded' ? new SimDatabase() : null;
    if (this.#database === null) {
      this.#driver = createMemoryDriver(
        { clock: new Life(deps.time, 'store').clock },
        { retainedBytes: RETAINED_BYTES },
      );
    } else this.start();
  }

  /** `null` while it is down or recovers. */
  get driver(): ChannelDriver | null {
    return this.#driver;
  }

  get canCrash(): boolean {
    return this.#database !== null;
  }

  onDown(run: () => void): void {
    this.#downs.add(run);
  }

  offDown(run: () => void): void {
    this.#downs.delete(run);
  }

  /** Calls `run` as soon as the store is there. */
  whenUp(run: () => void): void {
    if (this.#driver !== null) run();
    else this.#ups.push(run);
  }

  crash(): void {
    const { trace, scenario, random, oracle } = this.#deps;
    if (this.#life === null) return;
    oracle.storeDied();
    const isPowerLost = scenario.losesPower && random.below(2) === 0;
    trace.add(`the store dies, power ${isPowerLost ? 'lost' : 'stays'}`);
    this.#life.end();
    this.#life = null;
    this.#driver = null;
    if (isPowerLost) this.#disk.crash(createSeededRandom(random.below(2 ** 31)));
    else this.#disk.kill();
    for (const down of this.#downs) down();
  }

  start(): void {
    if (this.#life !== null || this.#database === null) return;
    const life = new Life(this.#deps.time, `store${++this.#lifeCount}`);
    this.#life = life;
    this.#open(life).catch((error: unknown) => {
      if (this.#life !== life) return;
      this.#deps.trace.add(`${life.name} cannot open: ${String(error)}`);
      this.crash();
      this.#deps.time.in(RESTART_MS, () => this.start());
    });
  }

  end(): void {
    this.#life?.end();
    this.#database?.remove();
  }

  async #open(life: Life): Promise<void> {
    const { trace, oracle, scenario, random, time } = this.#deps;
    const { clock } = life;
    const database = this.#database;
    if (database === null) return;
    const transport = database.open(life, random, scenario.storeDelayMs);
    const mirror = new CursorMirror(transport);
    await mirror.load();
    const admin = new EmbeddedAdmin({ clock, mirror });
    const disk = createSimDisk({
      ...{ disk: this.#disk, life, random, syncMs: scenario.storeDelayMs },
      faults: this.#diskFaults(),
    });
    const log = await openEmbeddedLog(
      { disk, clock, random: createSeededRandom(random.below(2 ** 31)), logger: silentLogger },
      {
        directory: '/data/log',
        settings: {
          ...EMBEDDED_LOG_DEFAULTS,
          ...{ segmentBytes: SEGMENT_BYTES, retentionMs: 5_000, retentionBytes: 256 * 1024 },
        },
        lowestPin: (topic, partition) => mirror.lowestPin(topic, partition),
        largestBacklog: () => null,
        onFatal: (error) => {
          trace.add(`${life.name} fails: ${error.message}`);
          time.in(0, () => {
            if (this.#life !== life) return;
            this.crash();
            time.in(RESTART_MS, () => this.start());
          });
        },
        onDamage: (file, reason) => oracle.fail('damage', `${file}: ${reason}`),
      },
    );
    admin.attach(log);
    if (this.#life !== life) return;
    clock.every(TRIM_PERIOD_MS, () => void log.trim(clock.wallMs()));
    this.#driver = {
      ...{ name: 'embedded', log, admin },
      capabilities: {
        ...{ durability: 'D2', seek: true, shared: false, recordBytesMax: null, reopen: true },
      },
      cursors: createCursorStore(mirror),
      waiting: createWaitingStore({ transport: mirror, clock }),
      close: () => log.close(),
    };
    trace.add(`${life.name} is open`);
    for (const up of this.#ups.splice(0)) up();
  }

  #diskFaults(): DiskFaultPlan {
    const { random, scenario, isHealing, trace } = this.#deps;
    return (call) => {
      if (scenario.diskFaultShare === 0 || isHealing()) return null;
      if (call.name === 'read') return null; // a bad sector is damage, and damage is a failure here
      if (random.float() >= scenario.diskFaultShare) return null;
      trace.add(`the disk fails: ${call.name} ${call.path}`);
      if (call.name === 'write') {
        if (random.below(2) === 0) return { kind: 'short', bytes: random.below(call.length + 1) };
        return { kind: 'error', code: 'ENOSPC', afterBytes: random.below(call.length + 1) };
      }
      return { kind: 'error', code: 'EIO' };
    };
  }
}
