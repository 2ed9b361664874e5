/** The load process of the bench: runs one window when asked. */
import { setTimeout as delay } from 'node:timers/promises';
import { Load } from '../../kit/load.ts';
import { serveBench } from '../bench-child.ts';
import { createEventTemplate, nowMicros } from '../bench-event.ts';
import type { EventTemplate } from '../bench-event.ts';
import type { LoadRequest, LoadResult } from './load-run.ts';

const IDS_MAX = 8_000_000;
const accepted = new Uint8Array(IDS_MAX);

serveBench<LoadRequest, LoadResult>(async (request) => {
  const { host, port, connectionCount, ratePerSecond } = request;
  const templates: EventTemplate[] = [];
  const ids: number[] = [];
  for (let slot = 0; slot < connectionCount; slot++) {
    templates.push(createEventTemplate({ ...request, host: `${host}:${port}` }));
    ids.push(0);
  }
  let sentCount = 0;
  let acceptedCount = 0;
  const otherAnswers: Record<string, number> = {};
  const source = {
    next(slot: number, lateMs: number): Buffer | null {
      const template = templates[slot];
      if (template === undefined || sentCount >= IDS_MAX) return null;
      const id = sentCount++;
      ids[slot] = id;
      template.write(id, nowMicros() - Math.round(lateMs * 1_000));
      return template.bytes;
    },
    settled(slot: number, status: number | null): void {
      const isAccepted = status === 202;
      accepted[ids[slot] ?? 0] = isAccepted ? 1 : 0;
      if (isAccepted) acceptedCount += 1;
      else otherAnswers[status ?? 0] = (otherAnswers[status ?? 0] ?? 0) + 1;
    },
  };
  const load = new Load(source, { host, port, connectionCount, ratePerSecond });
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  load.start();
  await delay(request.durationMs);
  await load.stop();
  const elapsedMs = performance.now() - startedMs;
  const { user, system } = process.cpuUsage(cpu);
  load.close();
  return {
    accepted: accepted.slice(0, sentCount),
    ...{ sentCount, acceptedCount, otherAnswers, elapsedMs },
    cpuMicrosPerEvent: (user + system) / Math.max(1, sentCount),
  };
});
