/**
 * Sends the bytes of a row on a connection of its own and holds the answers to it. What the server
 * stored and counted is the caller's to look at: it differs from an ingress in this process to one
 * outside. Invariant: returns only when the server has answered everything it will answer.
 */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { RawClient } from '#services/ingress/raw-client';
import type { RawAnswer } from '#services/ingress/raw-client';
import type { BadInputRow, ExpectedAnswer } from './bad-input-row.ts';

/** Longer than any time-out of a hurried ingress and than the linger of a listener. */
const ANSWER_LIMIT_MS = 10_000;
const BODY_LENGTH_MAX = 400;

/** @throws AssertionError when an answer is another one, or missing, or one too many. */
export async function runRow(port: number, row: BadInputRow): Promise<void> {
  if (row.isHead) return runHead(port, row);
  const client = await RawClient.open(port);
  const timer = setTimeout(() => client.socket.destroy(), ANSWER_LIMIT_MS);
  try {
    for (const piece of row.pieces) await write(client.socket, piece);
    if (row.isHalfClosed) client.socket.end();
    for (const expected of row.answers) holdAnswer(await client.answer(), expected);
    if (row.isEnd) assert.equal(await client.closed, '', 'nothing behind the answers');
  } finally {
    clearTimeout(timer);
    client.end();
  }
}

/** One row's piece; resolves when it is on its way, so that the next is a segment of its own. */
function write(socket: Socket, piece: string): Promise<void> {
  return new Promise((resolve) => {
    if (piece === '') return resolve();
    socket.write(piece, 'latin1', () => resolve());
  });
}

function holdAnswer(answer: RawAnswer | null, expected: ExpectedAnswer): void {
  const { status, code } = expected;
  assert.ok(answer !== null, `no answer, wanted ${status}`);
  assert.equal(answer.status, status, answer.body);
  if (status === 100) return;
  assert.equal(answer.headers.get('allow'), 'POST, OPTIONS');
  if (code === null) {
    assert.equal(answer.body, '');
    return;
  }
  holdRefusal(answer.body, code);
}

/** The form of a refusal: code and message, short, and nothing of the request or of our insides. */
function holdRefusal(body: string, code: string): void {
  const parsed = JSON.parse(body) as Record<string, unknown>;
  assert.deepEqual(Object.keys(parsed), ['code', 'message']);
  assert.equal(parsed['code'], code, body);
  assert.ok(body.length < BODY_LENGTH_MAX, body);
  assert.doesNotMatch(body, /\.ts|node:|caf|example|evil|script/);
}

/** The answer to HEAD has the length of a body and no body, which `RawClient` cannot know. */
async function runHead(port: number, row: BadInputRow): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.setEncoding('latin1');
  socket.end(row.pieces.join(''), 'latin1');
  let received = '';
  for await (const text of socket) received += String(text);
  const [expected] = row.answers;
  assert.equal(Number(received.split(' ')[1]), expected?.status);
  assert.ok(received.endsWith('\r\n\r\n'), 'no body');
}
