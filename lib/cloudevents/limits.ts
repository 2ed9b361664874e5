/**
 * How large and how complicated an event may be. Ingress makes one from its settings, the dispatcher
 * uses it for replies; every decoder here takes it as a parameter, so nothing is unbounded.
 */
export interface CloudEventLimits {
  /** One event: body plus attribute names and values; in JSON the bytes of its object. */
  readonly eventBytesMax: number;
  readonly batchBytesMax: number;
  readonly batchEventsMax: number;
  /** Attributes of one event, the required ones included. */
  readonly attributesMax: number;
  /** One decoded attribute value, as UTF-8. */
  readonly attributeBytesMax: number;
  readonly attributeNameLengthMax: number;
  /** Nesting of objects and arrays; the event's own object is the first level. */
  readonly jsonDepthMax: number;
  /** Object keys of one event, at all levels. */
  readonly jsonKeysMax: number;
}

export const DEFAULT_CLOUD_EVENT_LIMITS: CloudEventLimits = {
  eventBytesMax: 1_048_576,
  batchBytesMax: 4_194_304,
  batchEventsMax: 100,
  attributesMax: 64,
  attributeBytesMax: 8_192,
  attributeNameLengthMax: 64,
  jsonDepthMax: 64,
  jsonKeysMax: 10_000,
};
