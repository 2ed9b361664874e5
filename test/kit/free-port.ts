/**
 * A TCP port of 127.0.0.1 that nobody listens on, for processes that must come back on the port they
 * had. Below the kernel's ephemeral range: no outgoing connection takes it while the process is away.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';

const LOWEST_PORT = 12_000;
const TRIES_MAX = 200;
const given = new Set<number>();

/** Different ports on every call of one process. @throws Error when there seems to be none. */
export async function freePort(): Promise<number> {
  const end = ephemeralStart();
  for (let attempt = 0; attempt < TRIES_MAX; attempt++) {
    const port = LOWEST_PORT + Math.floor(Math.random() * (end - LOWEST_PORT));
    if (given.has(port) || !(await canListen(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`Cannot find a free port from ${LOWEST_PORT} to ${end}: ${TRIES_MAX} were taken`);
}

async function canListen(port: number): Promise<boolean> {
  const server = net.createServer();
  server.listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return false; // Taken, or not ours to take: either way not free.
  }
  server.close();
  await once(server, 'close');
  return true;
}

function ephemeralStart(): number {
  const [start = '32768'] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
    .trim()
    .split(/\s+/);
  return Math.max(LOWEST_PORT + 1_000, Number(start));
}
