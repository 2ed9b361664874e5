/**
 * What a Content-Type means, remembered by its text: producers send a handful of different ones.
 * Used by `exchange.ts`. Bounded; what does not fit is decoded each time.
 */
import { decodeContentType } from '#lib/cloudevents/http-decode';
import type { ContentTypeResult } from '#lib/cloudevents/http-decode';

const KEPT_MAX = 256;
const KEPT_LENGTH_MAX = 256;

export class ContentTypes {
  readonly #known = new Map<string, ContentTypeResult>();
  readonly #absent = decodeContentType([]);

  /** @param contentType the one header of the request, or `null` when it has none. */
  decode(contentType: string | null): ContentTypeResult {
    if (contentType === null) return this.#absent;
    const known = this.#known.get(contentType);
    if (known !== undefined) return known;
    const result = decodeContentType(['content-type', contentType]);
    const isKept = this.#known.size < KEPT_MAX && contentType.length <= KEPT_LENGTH_MAX;
    if (isKept) this.#known.set(contentType, result);
    return result;
  }
}
