/**
 * The program of a child process of the event side; `fork-process.ts` starts it. It does what its
 * parent says over the IPC channel and ends when that channel closes.
 */
import type { Logger } from '#lib/telemetry/log';
import { createSystemClock } from '#lib/time/system-clock';
import type { ParentMessage } from './child-protocol.ts';
import { ComposedEventSide } from './composed-event-side.ts';
import { crashOnBugs } from './crash.ts';
import { createStderrLog } from './log-lines.ts';
import { serveEventSide } from './supervision/event-process-server.ts';
import { parentChannel } from './supervision/parent-channel.ts';

const clock = createSystemClock();
const SIGTERM_DRAIN_MS = 10_000;
let log: Logger | null = null;
crashOnBugs(() => log);

const server = serveEventSide({
  clock,
  parent: parentChannel(),
  exit: (code) => process.exit(code),
  create({ roles, settings }: Extract<ParentMessage, { readonly kind: 'start' }>, onFatal) {
    const { logLevel, logFormat } = settings;
    const name = `millrace.${roles.join('+')}`;
    log = createStderrLog({ clock }, { name, level: logLevel, format: logFormat });
    const side = new ComposedEventSide({ clock, log, onFatal }, roles, settings);
    return Promise.resolve({ side, log });
  },
});

// The terminal's signals reach the parent alone; whoever signals this process means this process.
process.on('SIGTERM', () => server.terminate(SIGTERM_DRAIN_MS));
process.on('SIGINT', () => undefined);
