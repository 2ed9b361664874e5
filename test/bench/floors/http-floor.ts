/** The least that any ingress on `node:http` does: read the body, answer 202. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** @returns the port. */
export async function startHttpFloor(): Promise<number> {
  const server = createServer((request, response) => {
    request.on('data', () => undefined);
    request.on('end', () => {
      response.writeHead(202, { 'Content-Length': 0 });
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
