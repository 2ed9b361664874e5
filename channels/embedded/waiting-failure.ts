/**
 * The failure of a delivery as bytes in the embedded database. Used by `waiting-store.ts`.
 *
 *   0 u8 version = 1   1 u32 length of the JSON, little endian   5 JSON [destination, status, reason]
 *   then the body, to the end
 */
import { assert } from '#lib/assert/assert';
import type { DeliveryFailure } from '#lib/channel/waiting-store';

const VERSION = 1;
const HEAD_BYTES = 5;

export function encodeFailure(failure: DeliveryFailure): Buffer {
  const head = [failure.destination, failure.status, failure.reason];
  const json = Buffer.from(JSON.stringify(head), 'utf8');
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + json.length + failure.body.length);
  bytes.writeUInt8(VERSION, 0);
  bytes.writeUInt32LE(json.length, 1);
  json.copy(bytes, HEAD_BYTES);
  failure.body.copy(bytes, HEAD_BYTES + json.length);
  return bytes;
}

/** `body` is a view of `bytes`. */
export function decodeFailure(bytes: Buffer): DeliveryFailure {
  assert(bytes[0] === VERSION, 'a stored failure is of a known version', { version: bytes[0] });
  const bodyStart = HEAD_BYTES + bytes.readUInt32LE(1);
  const head: unknown = JSON.parse(bytes.toString('utf8', HEAD_BYTES, bodyStart));
  assert(Array.isArray(head), 'a stored failure has a head');
  const [destination, status, reason]: unknown[] = head;
  assert(destination === null || typeof destination === 'string', 'the destination is a text');
  assert(status === null || typeof status === 'number', 'the status is a number');
  assert(typeof reason === 'string', 'the reason is a text');
  return { destination, status, reason, body: bytes.subarray(bodyStart) };
}
