/**
 * Notices that the `-f` files changed: the system's notifications make it quick, a look at names, sizes
 * and times every {@link POLL_MS} makes it sure (network disks, editors that replace files). A change is
 * told when the files have kept still for {@link STILL_MS}, so that a half-written file is not read.
 */
import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { Clock, Timer } from '#lib/time/clock';
import { listManifestFiles } from './manifest-text.ts';

export const POLL_MS = 1_000;
export const STILL_MS = 100;

export class ManifestWatcher {
  readonly #clock: Clock;
  readonly #given: readonly string[];
  readonly #onChange: () => void;
  readonly #watchers: FSWatcher[] = [];
  #known = '';
  #timer: Timer | null = null;
  #isLooking = false;
  #isClosed = false;

  constructor(
    deps: { readonly clock: Clock; readonly onChange: () => void },
    given: readonly string[],
  ) {
    this.#clock = deps.clock;
    this.#onChange = deps.onChange;
    this.#given = given;
  }

  /** Remembers what is there now; later changes are told. Call it before the first reading. */
  async start(): Promise<void> {
    if (this.#given.length === 0) return;
    this.#known = await this.#signature();
    for (const one of this.#given) this.#watch(one);
    this.#lookAfter(POLL_MS);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    for (const watcher of this.#watchers.splice(0)) watcher.close();
  }

  /** A file is watched through its folder: editors replace it, and its own watch would be lost. */
  #watch(given: string): void {
    for (const folder of new Set([path.resolve(given), path.dirname(path.resolve(given))])) {
      try {
        const watcher = watch(folder, { persistent: false }, () => this.#lookAfter(STILL_MS));
        watcher.on('error', () => watcher.close()); // The poll goes on.
        this.#watchers.push(watcher);
      } catch {
        // No such folder, or no more watches to be had: the poll finds the change.
      }
    }
  }

  #lookAfter(delayMs: number): void {
    if (this.#isClosed || this.#isLooking) return;
    this.#timer?.cancel();
    this.#timer = this.#clock.after(delayMs, () => void this.#look());
  }

  async #look(): Promise<void> {
    this.#isLooking = true;
    let found = await this.#signature();
    if (found !== this.#known) {
      for (;;) {
        await new Promise<void>((resolve) => void this.#clock.after(STILL_MS, resolve));
        const again = await this.#signature();
        if (again === found || this.#isClosed) break;
        found = again;
      }
      this.#known = found;
      if (!this.#isClosed) this.#onChange();
    }
    this.#isLooking = false;
    this.#lookAfter(POLL_MS);
  }

  async #signature(): Promise<string> {
    const parts: string[] = [];
    for (const given of this.#given) {
      const list = await listManifestFiles(given);
      if (!list.ok) {
        parts.push(`${given}: ${list.reason}`);
        continue;
      }
      for (const file of list.files) {
        const info = await stat(file.path).catch(() => null); // Gone meanwhile: that is a change.
        parts.push(
          info === null ? file.path : `${file.path} ${info.ino} ${info.size} ${info.mtimeMs}`,
        );
      }
    }
    return parts.join('\n');
  }
}
