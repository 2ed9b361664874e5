/** The IPC channel of this process to its parent, as the port of `event-process-server.ts`. */
import { assert } from '#lib/assert/assert';
import type { ParentMessage } from '../child-protocol.ts';
import type { ParentChannel } from './event-process-server.ts';

export function parentChannel(): ParentChannel {
  assert(process.send !== undefined, 'this program is started by its parent only');
  return {
    send(message, done) {
      // Without a channel the parent is gone, and `disconnect` says so.
      if (process.connected) process.send?.(message, undefined, undefined, () => done?.());
      else done?.();
    },
    onMessage: (listener) => {
      // Messages are only ever sent by EventChild of the same version.
      process.on('message', (message) => listener(message as ParentMessage));
    },
    onDisconnect: (listener) => {
      process.on('disconnect', listener);
    },
  };
}
