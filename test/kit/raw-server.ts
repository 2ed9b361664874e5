/**
 * An HTTP server without HTTP: the test says byte for byte what goes back and what happens to the
 * socket. For subscribers that misbehave.
 */
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

export interface RawRequest {
  readonly socket: Socket;
  /** From 1: the place of the request on its connection. */
  readonly numberOnSocket: number;
  /** From 1: the place among all requests. */
  readonly number: number;
  readonly head: string;
}

export interface RawServer {
  readonly port: number;
  readonly url: string;
  requestCount: number;
  connectionCount: number;
  openCount: number;
  close(): Promise<void>;
}

/** Calls `answer` for every complete request (a head with a Content-Length, and its body). */
export async function startRawServer(answer: (request: RawRequest) => void): Promise<RawServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    state.connectionCount += 1;
    state.openCount += 1;
    let numberOnSocket = 0;
    let received = '';
    socket.on('error', () => undefined); // The tests break connections on purpose.
    socket.on('close', () => {
      sockets.delete(socket);
      state.openCount -= 1;
    });
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      for (let end = requestEnd(received); end !== -1; end = requestEnd(received)) {
        const head = received.slice(0, received.indexOf('\r\n\r\n'));
        received = received.slice(end);
        numberOnSocket += 1;
        state.requestCount += 1;
        answer({ socket, numberOnSocket, number: state.requestCount, head });
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const state: RawServer = {
    port,
    url: `http://127.0.0.1:${port}/`,
    requestCount: 0,
    connectionCount: 0,
    openCount: 0,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return state;
}

function requestEnd(received: string): number {
  const headEnd = received.indexOf('\r\n\r\n');
  if (headEnd === -1) return -1;
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(received.slice(0, headEnd))?.[1] ?? 0);
  const end = headEnd + 4 + length;
  return received.length < end ? -1 : end;
}
