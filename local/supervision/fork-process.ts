/**
 * Real child processes: Node's `fork` with structured clone, in a session of their own, so that the
 * terminal's Ctrl-C reaches the parent alone and the children are drained in order. A child sees the
 * IPC channel close when its parent ends, however that happened.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Environment } from '#lib/config/environment';
import type { ChildMessage } from '../child-protocol.ts';
import type { ForkChild } from './event-child.ts';

const EVENT_PROCESS = new URL('../event-process.ts', import.meta.url);

/** Children with the given environment; `module` is another program for tests. */
export function createFork(environment: Environment, module: URL = EVENT_PROCESS): ForkChild {
  return (name, listener) => {
    const child = fork(fileURLToPath(module), [name], {
      serialization: 'advanced',
      detached: true,
      env: { ...environment },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    // The last messages (why it cannot go on) may arrive after the exit: both must have happened.
    let exitReason: string | null = null;
    let isGone = false;
    const endWhenBoth = (): void => {
      if (isGone || exitReason === null || child.connected) return;
      isGone = true;
      listener.onExit(exitReason);
    };
    // Messages are only ever sent by serveEventSide of the same version.
    child.on('message', (message) => listener.onMessage(message as ChildMessage));
    child.on('error', (error) => {
      if (child.pid !== undefined) return;
      exitReason = `it could not be started: ${error.message}`;
      endWhenBoth();
    });
    child.on('exit', (code, signal) => {
      exitReason = signal === null ? `it ended with status ${code}` : `it was ended by ${signal}`;
      endWhenBoth();
    });
    child.on('disconnect', endWhenBoth);
    return {
      pid: child.pid ?? null,
      send(message) {
        // The callback takes the error of a channel that closes meanwhile; `exit` tells the same.
        if (child.connected) child.send(message, () => undefined);
      },
      kill: (signal) => child.kill(signal),
    };
  };
}
