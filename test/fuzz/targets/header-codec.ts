/**
 * Events in headers: never throws, our encoding gives the event back, and the CloudEvents SDK reads in
 * it the values that we wrote. Input: header lines, an empty line, the body.
 */
import assert from 'node:assert/strict';
import { HTTP } from 'cloudevents';
import type { CloudEvent } from '#lib/cloudevents/cloud-event';
import { decodeHttp } from '#lib/cloudevents/http-decode';
import { DEFAULT_CLOUD_EVENT_LIMITS as limits } from '#lib/cloudevents/limits';
import { createTarget } from '../fuzz-target.ts';
import { binaryHeaders, holdRoundTrips } from './round-trip.ts';

const WORDS = [
  ...['ce-specversion: 1.0\n', 'ce-specversion: 0.3\n', 'ce-id: 1\n', 'ce-source: /a\n'],
  ...['ce-type: t\n', 'ce-subject: ', 'ce-time: 2026-01-31T23:59:60.5Z\n', 'ce-dataschema: a:b\n'],
  ...['ce-schemaurl: /s\n', 'ce-datacontentencoding: base64\n', 'content-type: application/json\n'],
  ...['content-type: text/plain; charset=utf-8\n', 'content-type: application/cloudevents+json\n'],
  ...['\n\n', '%', '%C3%A9', '%E2%82%AC', '%00', '%F0%9F%98%80', '"', '\\"', '%25', '\u00c3\u00a9'],
];

export const HEADER_CODEC = createTarget('header-codec', WORDS, (input) => {
  const { rawHeaders, body } = messageOf(input);
  const result = decodeHttp({ rawHeaders, body, limits });
  if (!result.ok) return;
  for (const event of result.events) {
    holdRoundTrips(event);
    holdSdk(event);
  }
});

/** As Node's parser gives headers: tokens as names, no controls in values, no space around them. */
function messageOf(input: Buffer): { readonly rawHeaders: string[]; readonly body: Buffer } {
  const text = input.toString('latin1');
  const headEnd = text.indexOf('\n\n');
  const head = headEnd === -1 ? text : text.slice(0, headEnd);
  const rawHeaders: string[] = [];
  for (const line of head.split('\n')) {
    const found = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)$/.exec(line);
    if (found !== null) rawHeaders.push(found[1] ?? '', (found[2] ?? '').replace(/[ \t]+$/, ''));
  }
  return { rawHeaders, body: headEnd === -1 ? Buffer.alloc(0) : input.subarray(headEnd + 2) };
}

/** The SDK decodes no percent-encoding, so it must find the very text of our headers. */
function holdSdk(event: CloudEvent): void {
  if (event.specversion !== '1.0') return; // The SDK reads 1.0 alone as we do.
  if (event.extensions.has('schemaurl')) return; // Which it refuses in 1.0.
  const flat = binaryHeaders({ ...event, datacontenttype: 'application/octet-stream' });
  const headers: Record<string, string> = {};
  for (let at = 0; at + 1 < flat.length; at += 2) headers[flat[at] ?? ''] = flat[at + 1] ?? '';
  const read = HTTP.toEvent<unknown>({ headers, body: undefined });
  assert(!Array.isArray(read));
  const found = new Map<string, unknown>(Object.entries(read));
  for (const [header, value] of Object.entries(headers)) {
    const name = header.slice(3);
    // The SDK makes its own text of a time, and numbers and booleans are none in a header.
    if (!header.startsWith('ce-') || name === 'time' || SDK_OWN.has(name)) continue;
    assert.equal(String(found.get(name)), value, name);
  }
}

/** Members of the SDK's event class, or of every object, which it keeps for itself. */
const SDK_OWN: ReadonlySet<string> = new Set(['constructor', 'data', 'datacontenttype']);
