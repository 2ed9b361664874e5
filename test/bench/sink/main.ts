/** The sink process of the bench. */
import { serveBench } from '../bench-child.ts';
import { CountingServer } from './counting-server.ts';
import type { SinkRequest, SinkResult } from './sink-run.ts';

const server = new CountingServer();
let port = 0;
let triggerCount = 0;

serveBench<SinkRequest, SinkResult>(async (request) => {
  let lostCount = 0;
  let percentiles: readonly (number | null)[] = [];
  switch (request.kind) {
    case 'listen':
      port = await server.listen();
      break;
    case 'begin':
      ({ triggerCount } = request);
      server.begin(triggerCount);
      break;
    case 'finish': {
      let acceptedCount = 0;
      for (const isAccepted of request.accepted) acceptedCount += isAccepted;
      await server.settled(acceptedCount * triggerCount, request.limitMs);
      lostCount = server.lostCount(request.accepted);
      percentiles = server.percentiles([0.5, 0.99]);
      break;
    }
  }
  const [p50Ms = null, p99Ms = null] = percentiles;
  return { ...server.counts, port, lostCount, p50Ms, p99Ms };
});
