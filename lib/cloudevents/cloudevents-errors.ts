/**
 * Every way in which a message is not a CloudEvent that Millrace takes, and every way in which a
 * stored event cannot be read back. Decoders answer with a `CloudEventProblem` that names one of
 * these codes; only a damaged stored record is thrown as a `MeshError`.
 */
import { defineErrors } from '#lib/errors/mesh-error';
import type { ErrorTable } from '#lib/errors/mesh-error';

export const CLOUDEVENTS_ERRORS = {
  CLOUDEVENTS_ATTRIBUTE_MISSING: {
    meaning: 'A required attribute (specversion, id, source or type) is not there',
    next: 'Add the attribute that the message names to the event',
    retry: 'never',
    httpStatus: 400,
  },
  CLOUDEVENTS_ATTRIBUTE_EMPTY: {
    meaning: 'An attribute that must not be empty is empty, or holds only spaces',
    next: 'Give the attribute a value, or leave it out if it is optional',
    retry: 'never',
    httpStatus: 400,
  },
  CLOUDEVENTS_ATTRIBUTE_DUPLICATE: {
    meaning: 'The same attribute is given twice, so its value is not certain',
    next: 'Send each attribute once; look for a proxy or client that adds headers',
    retry: 'never',
    httpStatus: 400,
  },
  CLOUDEVENTS_ATTRIBUTE_NAME_INVALID: {
    meaning: 'An attribute name has other characters than a to z and 0 to 9, or is too long',
    next: 'Rename the extension; 20 characters or fewer travel best',
    retry: 'never',
    httpStatus: 400,
  },
  CLOUDEVENTS_ATTRIBUTE_RESERVED: {
    meaning: 'The name cannot be used here: an extension "data", or a header ce-datacontenttype',
    next: 'Rename the extension; in binary mode give the data content type as Content-Type',
    retry: 'never',
    httpStatus: 400,
  },
  CLOUDEVENTS_ATTRIBUTE_TYPE_INVALID: {
    meaning: 'The attribute has a JSON type, or a number, that CloudEvents does not allow there',
    next: 'Use a string; extensions may also be true, false or a 32-bit integer',
    retry: 'never',
    httpStatus: 400,
  },
  CLOUDEVENTS_ATTRIBUTE_ENCODING_INVALID: {
    meaning: 'The header value is not valid percent-encoding, quoting or UTF-8',
    next: 'Percent-encode space, double quote, percent and everything that is not printable ASCII',
    retry: 'never',
    httpStatus: 400,
  },
  CLOUDEVENTS_ATTRIBUTE_CHARACTER_INVALID: {
    meaning: 'The value has a control character, a noncharacter or half of a surrogate pair',
    next: 'Remove the character; attributes are one line of text',
    retry: 'never',
    httpStatus: 400,
  },
  CLOUDEVENTS_ATTRIBUTE_TOO_LARGE: {
    meaning: 'One attribute value is longer than the limit',
    next: 'Put large values into the data',
    retry: 'never',
    httpStatus: 400,
  },
  CLOUDEVENTS_ATTRIBUTES_TOO_MANY: {
    meaning: 'The event has more attributes than the limit',
    next: 'Put values that no filter needs into the data',
    retry: 'never',
    httpStatus: 400,
  },
  CLOUDEVENTS_SPECVERSION_UNSUPPORTED: {
    meaning: 'The specversion is neither exactly 1.0 nor exactly 0.3',
    next: 'Send specversion 1.0',
    retry: 'never',
    httpStatus: 400,
  },
  CLOUDEVENTS_URI_INVALID: {
    meaning: 'The attribute is not a URI-reference of RFC 3986, or dataschema is not absolute',
    next: 'Percent-encode spaces and other characters that a URI cannot have',
    retry: 'never',
    httpStatus: 400,
  },
  CLOUDEVENTS_TIME_INVALID: {
    meaning:
      'The time is not an RFC 3339 timestamp with a zone, or names a day that does not exist',
    next: 'Send a time such as 2026-01-31T23:59:59.5Z',
    retry: 'never',
    httpStatus: 400,
  },
  CLOUDEVENTS_DATACONTENTTYPE_INVALID: {
    meaning: 'The attribute datacontenttype of a JSON event is not a media type',
    next: 'Send a media type such as application/json, or leave the attribute out',
    retry: 'never',
    httpStatus: 400,
  },
  CLOUDEVENTS_DATACONTENTENCODING_UNSUPPORTED: {
    meaning: 'A 0.3 event has a datacontentencoding other than base64',
    next: 'Send the data as base64, or leave the attribute out',
    retry: 'never',
    httpStatus: 400,
  },
  CLOUDEVENTS_CONTENT_TYPE_DUPLICATE: {
    meaning: 'The request has two Content-Type headers',
    next: 'Send one; look for a proxy or client that adds headers',
    retry: 'never',
    httpStatus: 400,
  },
  CLOUDEVENTS_CONTENT_TYPE_INVALID: {
    meaning: 'The Content-Type header is not a media type',
    next: 'Send a media type such as application/json',
    retry: 'never',
    httpStatus: 415,
  },
  CLOUDEVENTS_FORMAT_UNSUPPORTED: {
    meaning: 'The event is in a structured format other than JSON',
    next: 'Send application/cloudevents+json, application/cloudevents-batch+json, or binary mode',
    retry: 'never',
    httpStatus: 415,
  },
  CLOUDEVENTS_CHARSET_UNSUPPORTED: {
    meaning: 'A JSON event is announced in a character set other than UTF-8',
    next: 'Send JSON events in UTF-8',
    retry: 'never',
    httpStatus: 415,
  },
  CLOUDEVENTS_BODY_EMPTY: {
    meaning: 'The Content-Type announces a JSON event and the body is empty',
    next: 'Send the event as the body, or an empty JSON array for an empty batch',
    retry: 'never',
    httpStatus: 400,
  },
  CLOUDEVENTS_JSON_INVALID: {
    meaning: 'The body is not well-formed JSON',
    next: 'Look at the byte offset that the message names',
    retry: 'never',
    httpStatus: 400,
  },
  CLOUDEVENTS_JSON_ENCODING_INVALID: {
    meaning: 'The JSON body is not plain UTF-8: a byte order mark, UTF-16, or invalid bytes',
    next: 'Send the JSON as UTF-8 without a byte order mark',
    retry: 'never',
    httpStatus: 400,
  },
  CLOUDEVENTS_JSON_TOO_DEEP: {
    meaning: 'Objects and arrays of the JSON event are nested deeper than the limit',
    next: 'Send flatter JSON, or the data as data_base64 or in binary mode',
    retry: 'never',
    httpStatus: 400,
  },
  CLOUDEVENTS_JSON_TOO_MANY_KEYS: {
    meaning: 'The JSON event has more object keys than the limit',
    next: 'Send smaller events, or the data as data_base64 or in binary mode',
    retry: 'never',
    httpStatus: 400,
  },
  CLOUDEVENTS_JSON_NOT_AN_EVENT: {
    meaning: 'The JSON value is not an object where an event must be, or not an array for a batch',
    next: 'Send one JSON object per event, and an array of them in a batch',
    retry: 'never',
    httpStatus: 400,
  },
  CLOUDEVENTS_DATA_CONFLICT: {
    meaning: 'The JSON event has both data and data_base64',
    next: 'Send one of the two',
    retry: 'never',
    httpStatus: 400,
  },
  CLOUDEVENTS_DATA_BASE64_INVALID: {
    meaning: 'The data is not standard base64 with padding and without white space',
    next: 'Encode with the standard alphabet (+ and /) and pad with =',
    retry: 'never',
    httpStatus: 400,
  },
  CLOUDEVENTS_DATA_NOT_TEXT: {
    meaning:
      'The datacontenttype is not JSON and the member data is not a JSON string of valid text',
    next: 'Send such data as a string, or as data_base64',
    retry: 'never',
    httpStatus: 400,
  },
  CLOUDEVENTS_EVENT_TOO_LARGE: {
    meaning: 'The event is larger than the limit',
    next: 'Send smaller events, or a reference to data stored elsewhere (dataref)',
    retry: 'never',
    httpStatus: 413,
  },
  CLOUDEVENTS_BATCH_TOO_LARGE: {
    meaning: 'The batch has more bytes or more events than the limit; nothing of it was taken',
    next: 'Send smaller batches',
    retry: 'never',
    httpStatus: 413,
  },
  CLOUDEVENTS_RECORD_INVALID: {
    meaning: 'The bytes of a stored event are damaged',
    next: 'Look at the disk; the record is kept raw as poison, it is never skipped in silence',
    retry: 'never',
  },
  CLOUDEVENTS_RECORD_VERSION_UNKNOWN: {
    meaning: 'A stored event has a format that this version of Millrace does not know',
    next: 'Run the version that wrote it, or a newer one',
    retry: 'never',
  },
} as const satisfies ErrorTable;

export type CloudEventsErrorCode = keyof typeof CLOUDEVENTS_ERRORS;

/** The codes that a decoder of messages answers with: those with an HTTP status. */
export type CloudEventProblemCode = Exclude<
  CloudEventsErrorCode,
  'CLOUDEVENTS_RECORD_INVALID' | 'CLOUDEVENTS_RECORD_VERSION_UNKNOWN'
>;

export const cloudEventsError = defineErrors(CLOUDEVENTS_ERRORS);
