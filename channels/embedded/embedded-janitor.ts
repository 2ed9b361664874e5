/**
 * Looks after the embedded store now and then: retention of the log, free pages of the database, and the
 * reserve for a full disk as soon as there is room for it. Made by `embedded-driver.ts`. A failure is
 * told and tried again at the next turn.
 */
import { messageOf } from '#lib/errors/mesh-error';
import type { Logger } from '#lib/telemetry/log';
import type { Clock, Timer } from '#lib/time/clock';
import type { Ballast } from './ballast.ts';
import type { EmbeddedAdmin } from './embedded-admin.ts';
import type { EmbeddedLog } from './embedded-log.ts';

export interface JanitorDeps {
  readonly log: EmbeddedLog;
  readonly admin: EmbeddedAdmin;
  readonly ballast: Ballast;
  readonly clock: Clock;
  readonly logger: Logger;
}

const TIDY_PERIOD_MS = 30_000;
/** How soon new pairs are taken again when the disk was full. */
const RESERVE_PERIOD_MS = 2000;
/** Pages that one turn gives back at most: 16 MiB, some ten milliseconds of the worker. */
const TIDY_PAGES = 4096;
/** On a full disk in small steps: moving pages takes room in the write-ahead log first. */
const RESERVE_STEP_PAGES = 64;
const RESERVE_STEPS_MAX = 1000;

export class EmbeddedJanitor {
  readonly #deps: JanitorDeps;
  readonly #timers: readonly Timer[];
  #work: Promise<void> | null = null;
  #isClosed = false;

  constructor(deps: JanitorDeps) {
    this.#deps = deps;
    this.#timers = [
      deps.clock.every(TIDY_PERIOD_MS, () => this.#start(() => this.#tidy())),
      deps.clock.every(RESERVE_PERIOD_MS, () => {
        if (!deps.ballast.isWhole) this.#start(() => this.#restoreReserve());
      }),
    ];
  }

  /** Lets the present turn finish. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const timer of this.#timers) timer.cancel();
    await this.#work;
  }

  /** One turn at a time; one that comes meanwhile is left out. */
  #start(run: () => Promise<void>): void {
    if (this.#work !== null || this.#isClosed) return;
    this.#work = run()
      .catch((error: unknown) => {
        this.#deps.logger.warn('The store could not be tidied up', { error: messageOf(error) });
      })
      .finally(() => {
        this.#work = null;
      });
  }

  async #tidy(): Promise<void> {
    const { log, admin, clock } = this.#deps;
    await log.trim(clock.wallMs());
    await admin.shrinkDatabase({ pagesMax: TIDY_PAGES, keepsSome: true });
  }

  /** Free pages of the database are room as well: what has been settled is given back for the reserve. */
  async #restoreReserve(): Promise<void> {
    const { admin, ballast, logger } = this.#deps;
    for (let step = 0; step < RESERVE_STEPS_MAX && !this.#isClosed; step++) {
      if (await ballast.restore()) {
        logger.info('The reserve of the store is whole again');
        return;
      }
      const options = { pagesMax: RESERVE_STEP_PAGES, keepsSome: false };
      if ((await admin.shrinkDatabase(options)) === 0) return;
    }
  }
}
