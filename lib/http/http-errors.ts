/**
 * What is wrong with a request before it is anybody's business what it carries: malformed HTTP,
 * limits, targets, methods. Answered by the listeners of this folder and by those who use them; the
 * `meaning` is the text of the answer, so it holds no value of the request.
 */
import { defineErrors } from '#lib/errors/mesh-error';
import type { ErrorTable } from '#lib/errors/mesh-error';

export const HTTP_ERRORS = {
  HTTP_REQUEST_MALFORMED: {
    meaning: 'The request is not well-formed HTTP/1.1',
    next: 'Look for a client or proxy that writes HTTP by hand, or speaks another protocol',
    retry: 'never',
    httpStatus: 400,
  },
  HTTP_REQUEST_TIMEOUT: {
    meaning: 'The request did not arrive in time',
    next: 'Send head and body without pauses; the limits are in the settings of the listener',
    retry: 'backoff',
    httpStatus: 408,
  },
  HTTP_HEADERS_TOO_LARGE: {
    meaning: 'The headers are more than the limit in bytes or number, or one of them is too long',
    next: 'Send fewer or shorter headers; large values belong into the body',
    retry: 'never',
    httpStatus: 431,
  },
  HTTP_CHUNK_EXTENSIONS_TOO_LARGE: {
    meaning: 'The chunks of the body carry too many bytes of chunk extensions',
    next: 'Send no chunk extensions: nothing reads them',
    retry: 'never',
    httpStatus: 413,
  },
  HTTP_VERSION_UNSUPPORTED: {
    meaning: 'The request line names an HTTP version other than 1.1 and 1.0',
    next: 'Send HTTP/1.1',
    retry: 'never',
    httpStatus: 505,
  },
  HTTP_EXPECTATION_UNKNOWN: {
    meaning: 'The header Expect asks for something else than 100-continue',
    next: 'Send no Expect header, or Expect: 100-continue',
    retry: 'never',
    httpStatus: 417,
  },
  HTTP_HOST_INVALID: {
    meaning: 'The request has no Host header, more than one, or one that is no host and port',
    next: 'Send exactly one Host header',
    retry: 'never',
    httpStatus: 400,
  },
  HTTP_HOST_REFUSED: {
    meaning: 'The Host header names a host that this listener does not serve',
    next: 'Use an address of this listener, or add the name to its list of hosts',
    retry: 'never',
    httpStatus: 403,
  },
  HTTP_HEADER_DUPLICATE: {
    meaning: 'A header that must be there once is there twice, so its value is not certain',
    next: 'Send each header once; look for a proxy or client that adds headers',
    retry: 'never',
    httpStatus: 400,
  },
  HTTP_TARGET_INVALID: {
    meaning: 'The request target is not a plain absolute path of the expected form',
    next: 'Send the path only, such as /namespace/broker, without encoding, fragment or dots',
    retry: 'never',
    httpStatus: 400,
  },
  HTTP_METHOD_NOT_ALLOWED: {
    meaning: 'The method is not one that this path takes',
    next: 'Use one of the methods in the header Allow of the answer',
    retry: 'never',
    httpStatus: 405,
  },
  HTTP_CONTENT_ENCODING_UNSUPPORTED: {
    meaning: 'The body is compressed, or encoded in another way than identity',
    next: 'Send the body as it is, without Content-Encoding',
    retry: 'never',
    httpStatus: 415,
  },
  HTTP_CONNECTIONS_TOO_MANY: {
    meaning: 'A connection was closed because its source, or the listener, had too many',
    next: 'Reuse connections, or raise the limits on connections in the settings of the listener',
    retry: 'backoff',
  },
  HTTP_LISTEN_FAILED: {
    meaning: 'The address to listen on cannot be used',
    next: 'Choose another address or port, or stop the program that holds it',
    retry: 'never',
  },
} as const satisfies ErrorTable;

export type HttpErrorCode = keyof typeof HTTP_ERRORS;

export const httpError = defineErrors(HTTP_ERRORS);
