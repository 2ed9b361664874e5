/**
 * Events for the tests of this folder: a small valid event with whatever a test names. Not for use
 * outside tests.
 */
import type { AttributeValue, CloudEvent } from '#lib/cloudevents/cloud-event';

export interface EventParts extends Partial<Omit<CloudEvent, 'extensions'>> {
  readonly extensions?: Readonly<Record<string, AttributeValue>>;
}

export function eventWith({ extensions = {}, ...parts }: EventParts = {}): CloudEvent {
  return {
    specversion: '1.0',
    id: 'id-1',
    source: '/source',
    type: 'com.example.created',
    subject: null,
    time: null,
    datacontenttype: null,
    dataschema: null,
    data: null,
    ...parts,
    extensions: new Map(Object.entries(extensions)),
  };
}
