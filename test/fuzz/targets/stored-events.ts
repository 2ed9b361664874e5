/** The bytes of a stored event: whatever they are, an event or a MeshError of the table. */
import assert from 'node:assert/strict';
import { decodeEvent, encodeEvent } from '#lib/cloudevents/event-codec';
import { isMeshError } from '#lib/errors/mesh-error';
import { createTarget } from '../fuzz-target.ts';

const WORDS = [
  '\u0001\u0000',
  '\u0001\u0020',
  '\u0001\u007f',
  '\u0080\u0001',
  '\u00ff\u00ff\u00ff\u007f',
  '\u0002',
];

export const STORED_EVENTS = createTarget('stored-events', WORDS, (input) => {
  let event;
  try {
    event = decodeEvent(input);
  } catch (error) {
    assert.ok(isMeshError(error), String(error));
    assert.match(error.code, /^CLOUDEVENTS_RECORD_/);
    return;
  }
  // Lengths may have been written with more bytes than they need, so only the event is compared.
  const text = `${event.id}${event.source}${event.type}`;
  if (text.isWellFormed()) assert.deepEqual(decodeEvent(encodeEvent(event)), event);
});
