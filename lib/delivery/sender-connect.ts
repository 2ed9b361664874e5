/**
 * Opens one connection for the sender: resolves, judges every address that the name has, connects to
 * one of those and no other, and shakes hands. Invariant: no byte is sent to an address that the rules
 * refuse, whatever a name resolves to at that moment; no proxy settings are honoured.
 */
import { connect as connectTcp, isIP } from 'node:net';
import type { LookupFunction, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { SecureContext } from 'node:tls';
import type { AddressRules } from '#lib/security/address-rules';
import type { Clock } from '#lib/time/clock';
import type { SendErrorReason } from './http-sender.ts';
import type { Resolver } from './sender-resolver.ts';

export const CONNECT_TIMEOUT_MS = 5_000;
const FAMILY_ATTEMPT_MS = 250; // IPv6 gets this head start over IPv4, as Node's own default.
const TCP_KEEP_ALIVE_MS = 60_000;

/** Why there is no connection; the sender's own error, so that undici's codes are read in one place. */
export class ConnectFault extends Error {
  override readonly name = 'ConnectFault';
  readonly code = 'MILLRACE_CONNECT';
  readonly reason: SendErrorReason;

  constructor(reason: SendErrorReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

export interface ConnectDeps {
  readonly clock: Clock;
  readonly rules: AddressRules;
  readonly resolver: Resolver;
}

export interface ConnectTarget {
  /** Without brackets. */
  readonly hostname: string;
  readonly port: number;
  /** `null` for plain HTTP. */
  readonly secure: SecureContext | null;
}

/** Calls `done` once, never before it has returned. `null`: refused before a socket was opened. */
export function openConnection(
  deps: ConnectDeps,
  target: ConnectTarget,
  done: (fault: ConnectFault | null, socket: Socket | null) => void,
): Socket | null {
  const verdict = judgeTarget(deps.rules, target);
  if (verdict !== null) {
    queueMicrotask(() => done(verdict, null));
    return null;
  }
  const socket = startSocket(deps, target);
  let isTcpUp = false;
  let isDone = false;
  const finish = (fault: ConnectFault | null): void => {
    if (isDone) return;
    isDone = true;
    timer.cancel();
    if (fault !== null) socket.destroy();
    done(fault, fault === null ? socket : null);
  };
  const timer = deps.clock.after(CONNECT_TIMEOUT_MS, () => {
    finish(new ConnectFault('ConnectionFailed', noConnection(target)));
  });
  socket.once('connect', () => {
    isTcpUp = true;
    const refusal = judgePeer(deps.rules, target, socket);
    if (refusal !== null) finish(refusal);
    else if (target.secure === null) finish(null);
  });
  socket.once('secureConnect', () => finish(null));
  socket.on('error', (error: Error) => finish(faultOf(error, target, isTcpUp)));
  socket.once('close', () => finish(closedEarly(target, isTcpUp)));
  return socket;
}

function judgeTarget(rules: AddressRules, target: ConnectTarget): ConnectFault | null {
  const { hostname, port } = target;
  const verdict =
    isIP(hostname) === 0 ? rules.checkHost(hostname) : rules.checkAddress(hostname, port);
  if (verdict.ok) return null;
  return new ConnectFault('AddressRefused', `Cannot send to "${hostname}": ${verdict.message}`);
}

/** The last word: what the socket is connected to, whichever way it came there. */
function judgePeer(
  rules: AddressRules,
  target: ConnectTarget,
  socket: Socket,
): ConnectFault | null {
  const peer = socket.remoteAddress;
  if (peer === undefined) return null; // Closed meanwhile; the close event says so.
  const verdict = rules.checkAddress(peer, target.port);
  if (verdict.ok) return null;
  const message = `Cannot send to "${target.hostname}": ${verdict.message}`;
  return new ConnectFault('AddressRefused', message);
}

function startSocket(deps: ConnectDeps, target: ConnectTarget): Socket {
  const { hostname, port, secure } = target;
  const options = {
    host: hostname,
    port,
    lookup: judgedLookup(deps, port),
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: FAMILY_ATTEMPT_MS,
  };
  const socket =
    secure === null
      ? connectTcp(options)
      : connectTls({
          ...options,
          secureContext: secure,
          servername: isIP(hostname) === 0 ? hostname.replace(/\.$/, '') : '',
          ALPNProtocols: ['http/1.1'],
        });
  socket.setNoDelay(true);
  socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
  return socket;
}

/** One bad address refuses the name: an honest name has none. */
function judgedLookup(deps: ConnectDeps, port: number): LookupFunction {
  return (hostname, options, callback) => {
    deps.resolver.resolve(hostname, (result) => {
      if (!result.ok) {
        callback(new ConnectFault('DnsFailed', result.message), []);
        return;
      }
      for (const { address } of result.addresses) {
        const verdict = deps.rules.checkAddress(address, port);
        if (verdict.ok) continue;
        const message = `Cannot send to "${hostname}": it resolves to an address where ${verdict.message}`;
        callback(new ConnectFault('AddressRefused', message), []);
        return;
      }
      const [first] = result.addresses;
      if (options.all === true || first === undefined) callback(null, [...result.addresses]);
      else callback(null, first.address, first.family);
    });
  };
}

function faultOf(
  error: Error & { readonly code?: string },
  target: ConnectTarget,
  isTcpUp: boolean,
): ConnectFault {
  if (error instanceof ConnectFault) return error;
  const where = `${target.hostname}:${target.port}`;
  const reason = error.code ?? error.message;
  if (!isTcpUp)
    return new ConnectFault('ConnectionFailed', `Cannot connect to ${where}: ${reason}`);
  const detail = error.message === '' ? reason : error.message;
  return new ConnectFault('TlsFailed', `Cannot secure the connection to ${where}: ${detail}`);
}

function closedEarly(target: ConnectTarget, isTcpUp: boolean): ConnectFault {
  const where = `${target.hostname}:${target.port}`;
  return isTcpUp
    ? new ConnectFault('TlsFailed', `Cannot secure the connection to ${where}: it was closed`)
    : new ConnectFault('ConnectionFailed', `Cannot connect to ${where}: it was closed`);
}

function noConnection(target: ConnectTarget): string {
  return `Cannot connect to ${target.hostname}:${target.port}: no connection within ${CONNECT_TIMEOUT_MS} ms`;
}
