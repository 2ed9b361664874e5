/**
 * The hand-over when filter and dispatcher share a process: matched events go to the engine in
 * memory. Used by `local/` and by small clusters. Same promises as the deliveries log, same tests.
 */
import type {
  EventRecord,
  PoisonRecord,
  ReaderName,
  SourcePosition,
} from '#lib/channel/event-record';
import { SPAN_COUNT_MAX } from '#lib/delivery/checkpoint';
import type { DeliveryEngine } from '#lib/delivery/delivery-engine';
import type { Handover } from '#lib/delivery/handover';
import { deadTargetUid } from '#lib/delivery/handover';
import type { OpenPairs, PairSource } from '#lib/delivery/pair';
import { deadFailure, poisonEvent } from '#lib/delivery/poison';
import type { SharedPositions } from '#lib/delivery/shared-positions';
import type { Clock } from '#lib/time/clock';
import type { OwnReaders } from './own-readers.ts';
import type { Targets } from './targets.ts';

export interface FusedHandoverDeps {
  readonly clock: Clock;
  readonly engine: DeliveryEngine;
  readonly targets: Targets;
  readonly ownReaders: OwnReaders;
  readonly positions: SharedPositions;
  /** The end of the log at the start of the process. */
  readonly endAtStart: (topic: string, partition: number) => number;
  readonly partitions: (topic: string) => readonly number[];
}

export class FusedHandover implements Handover {
  onWanted: ((topic: string) => void) | null = null;
  readonly #deps: FusedHandoverDeps;
  readonly #lists = new Map<string, OpenPairs>();
  /** By partition and topic: each partition's shared reader takes its own. */
  readonly #wanted = new Map<string, Set<string>>();

  constructor(deps: FusedHandoverDeps) {
    this.#deps = deps;
    deps.engine.onOverflow = (target) => {
      this.want(target.settings.topic, target.settings.key);
    };
  }

  /** The Trigger needs an own reader; filter hears of it before it reads on. */
  want(topic: string, key: string): void {
    for (const partition of this.#deps.partitions(topic)) {
      const place = placeOf(topic, partition);
      const wanted = this.#wanted.get(place);
      if (wanted === undefined) this.#wanted.set(place, new Set([key]));
      else wanted.add(key);
    }
    this.onWanted?.(topic);
  }

  deliver(source: PairSource, record: EventRecord, targets: readonly string[]): void {
    const list = this.#list(source);
    for (const uid of targets) {
      const target = this.#deps.engine.target(uid) ?? this.#deps.targets.orphan(uid, source.topic);
      this.#deps.engine.offer(target, source, record, list);
    }
  }

  deliverDead(source: PairSource, record: EventRecord | PoisonRecord, brokerUid: string): void {
    const { clock, engine, targets } = this.#deps;
    const uid = deadTargetUid(brokerUid);
    const target = engine.target(uid) ?? targets.orphan(uid, source.topic);
    const event = record.kind === 'poison' ? poisonEvent(source, record, clock.wallMs()) : record;
    engine.offerFailed(target, source, event, this.#list(source), deadFailure(record.kind));
  }

  changeReader(source: SourcePosition, uid: string, reader: ReaderName): void {
    this.#deps.ownReaders.changed(source, uid, reader);
  }

  room(): Promise<void> | null {
    return null; // every target has a bound of its own, so nothing here can fill up
  }

  checkpoint(source: SourcePosition): Promise<void> {
    return this.#deps.engine.persistBelow(this.#list(source), source.offset);
  }

  advance(source: SourcePosition): void {
    this.#list(source);
    this.#deps.positions.set(source.topic, source.partition, source.offset);
  }

  takeWanted(topic: string, partition: number): readonly string[] {
    const place = placeOf(topic, partition);
    const wanted = this.#wanted.get(place);
    if (wanted === undefined) return [];
    this.#wanted.delete(place);
    return [...wanted];
  }

  #list(source: SourcePosition): OpenPairs {
    const key = placeOf(source.topic, source.partition);
    const known = this.#lists.get(key);
    if (known !== undefined) return known;
    const end = this.#deps.endAtStart(source.topic, source.partition);
    const list = this.#deps.engine.openList(source.offset, end, SPAN_COUNT_MAX, false);
    this.#lists.set(key, list);
    return list;
  }
}

function placeOf(topic: string, partition: number): string {
  return `${partition} ${topic}`;
}
