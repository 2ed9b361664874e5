/**
 * How full the store is, and who may still write. Producers are refused at 85 % of the capacity;
 * replies and deliveries go on until nothing is left, and a ballast file is given up for them when the
 * disk is full. Looks at the file system once a second while there is reason to.
 */
import { isMissingError } from '#lib/disk/disk';
import type { Disk } from '#lib/disk/disk';
import { writeWhole } from '#lib/disk/whole-write';
import { messageOf } from '#lib/errors/mesh-error';
import type { Logger } from '#lib/telemetry/log';

export interface SpaceDeps {
  readonly disk: Disk;
  readonly logger: Logger;
}

export interface SpaceOptions {
  readonly directory: string;
  /** 0: what the file system has. */
  readonly capacityBytes: number;
  /** Bytes that the log has stored. */
  readonly storedBytes: () => number;
  /** Bytes of the store's other part. */
  readonly otherBytes: () => number;
  /** The other part lives on its reserve: what is free now is not for producers. */
  readonly isReserveInUse: () => boolean;
}

const PRODUCER_SHARE = 0.85;
/** Above this, what every reader has passed is removed before its time. */
const PRESSURE_SHARE = 0.75;
const BALLAST_SHARE = 0.01;
const BALLAST_BYTES_MIN = 64 * 1024;
const BALLAST_BYTES_MAX = 8 * 1024 * 1024;
const BALLAST_CHUNK_BYTES = 64 * 1024;

export class LogSpace {
  readonly #deps: SpaceDeps;
  readonly #options: SpaceOptions;
  #freeBytes = 0;
  /** Our own bytes when the free ones were counted. */
  #usedBytesThen = 0;
  #isDiskFull = false;
  #ballastBytes = 0;
  #isLooking = false;

  constructor(deps: SpaceDeps, options: SpaceOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  get #ballastPath(): string {
    return `${this.#options.directory}/ballast`;
  }

  get usedBytes(): number {
    return this.#options.storedBytes() + this.#options.otherBytes();
  }

  /** The configured bytes, but never more than the file system can give. */
  get capacityBytes(): number {
    const { capacityBytes } = this.#options;
    const possible = this.#usedBytesThen + this.#freeBytes;
    return capacityBytes > 0 ? Math.min(capacityBytes, possible) : possible;
  }

  get refusesProducers(): boolean {
    return this.#isFull || this.usedBytes >= this.capacityBytes * PRODUCER_SHARE;
  }

  /** Nothing at all is left: not even replies and deliveries. */
  get refusesAll(): boolean {
    const { capacityBytes } = this.#options;
    return capacityBytes > 0 && this.usedBytes >= capacityBytes;
  }

  get isUnderPressure(): boolean {
    return this.#isFull || this.usedBytes >= this.capacityBytes * PRESSURE_SHARE;
  }

  get #isFull(): boolean {
    return this.#isDiskFull || this.#options.isReserveInUse();
  }

  /** At start: counts, and puts the ballast down. @throws the disk's error when it cannot count. */
  async open(): Promise<void> {
    await this.#count();
    try {
      await this.#restoreBallast();
    } catch (error) {
      this.#deps.logger.warn('The log has no ballast', { error: messageOf(error) });
    }
  }

  /** A write found no room. */
  noteDiskFull(): void {
    this.#isDiskFull = true;
  }

  /** Gives the ballast up, if there is any. Never throws. */
  async releaseBallast(): Promise<void> {
    if (this.#ballastBytes === 0) return;
    this.#ballastBytes = 0;
    try {
      await this.#deps.disk.removeFile(this.#ballastPath);
    } catch (error) {
      if (isMissingError(error)) return;
      this.#deps.logger.warn('The ballast of the log could not be released', {
        error: messageOf(error),
      });
    }
  }

  /** Counts again and, when there is room again, lets producers in. Never throws. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      await this.#count();
      if (this.#freeBytes < 2 * this.#ballastTarget) return;
      if (this.#isDiskFull) {
        this.#isDiskFull = false;
        if (!this.refusesProducers) this.#deps.logger.info('The log has room again');
      }
      if (this.#ballastBytes === 0) await this.#restoreBallast();
    } catch (error) {
      this.#deps.logger.warn('The free space of the log could not be counted', {
        error: messageOf(error),
      });
    } finally {
      this.#isLooking = false;
    }
  }

  async #count(): Promise<void> {
    const { freeBytes } = await this.#deps.disk.space(this.#options.directory);
    this.#freeBytes = freeBytes;
    this.#usedBytesThen = this.usedBytes;
  }

  get #ballastTarget(): number {
    const share = Math.floor(this.capacityBytes * BALLAST_SHARE);
    return Math.min(BALLAST_BYTES_MAX, Math.max(BALLAST_BYTES_MIN, share));
  }

  /** Real bytes, not a hole: they are there to be given back. Without room there is no ballast. */
  async #restoreBallast(): Promise<void> {
    const { disk } = this.#deps;
    const target = this.#ballastTarget;
    if (this.#freeBytes < 2 * target) return;
    try {
      await disk.removeFile(this.#ballastPath);
    } catch (error) {
      if (!isMissingError(error)) throw error;
    }
    const file = await disk.open(this.#ballastPath, 'create');
    try {
      const chunk = Buffer.alloc(BALLAST_CHUNK_BYTES, 0xa5);
      for (let at = 0; at < target; at += chunk.length) {
        await writeWhole(file, chunk, Math.min(chunk.length, target - at), at);
      }
      await file.datasync();
      this.#ballastBytes = target;
    } finally {
      await file.close();
    }
  }
}
