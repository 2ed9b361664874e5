/** A floor of the bench, in a process of its own. */
import { serveBench } from '../bench-child.ts';
import { runAppends } from './append-floor.ts';
import { runDispatches } from './dispatch-floor.ts';
import type { FloorRequest, FloorResult } from './floor-run.ts';
import { startHttpFloor } from './http-floor.ts';

const NOTHING = { count: 0, elapsedMs: 0, cpuMicrosPerEvent: 0 };

async function measured(run: () => Promise<number>): Promise<FloorResult> {
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  const count = await run();
  const { user, system } = process.cpuUsage(cpu);
  const elapsedMs = performance.now() - startedMs;
  return { port: 0, count, elapsedMs, cpuMicrosPerEvent: (user + system) / Math.max(1, count) };
}

serveBench<FloorRequest, FloorResult>(async (request) => {
  switch (request.kind) {
    case 'http':
      return { ...NOTHING, port: await startHttpFloor() };
    case 'dispatch':
      return measured(() => runDispatches(request));
    case 'append': {
      let result: FloorResult = { ...NOTHING, port: 0 };
      await runAppends(request, async (run) => {
        result = await measured(run);
      });
      return result;
    }
  }
});
