/**
 * A bug ends the process: it is said once, with its stack, and the exit code is 70. Used by the
 * programs of this folder; whoever supervises them starts them again.
 */
import { messageOf } from '#lib/errors/mesh-error';
import type { Logger } from '#lib/telemetry/log';
import { EXIT_BUG } from './child-protocol.ts';

/** `log` is asked for at that moment: it may be made later than this is called. */
export function crashOnBugs(log: () => Logger | null): void {
  const crash = (error: unknown): void => {
    log()?.error('a bug ended this process', {
      error: messageOf(error),
      stacktrace: error instanceof Error ? (error.stack ?? null) : null,
    });
    process.exit(EXIT_BUG);
  };
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', crash);
}
