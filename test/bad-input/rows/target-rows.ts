/** Rows about the request line: targets and methods. */
import { rawRequest } from '#services/ingress/raw-client';
import { accepted, refused, sequence } from '../bad-input-row.ts';
import type { BadInputRow } from '../bad-input-row.ts';

const INVALID = 'HTTP_TARGET_INVALID';
const UNKNOWN = 'INGRESS_BROKER_UNKNOWN';
const BAD = 'HTTP_REQUEST_MALFORMED';
const LABEL = 'a'.repeat(63);

const INVALID_TARGETS: readonly (readonly [number: number | null, target: string])[] = [
  [14, 'http://127.0.0.1/ns/b'],
  [14, 'https://127.0.0.1/ns/b'],
  [14, 'http://user:password@127.0.0.1/ns/b'],
  [14, 'HTTP://127.0.0.1/ns/b'],
  [14, 'http:///ns/b'],
  [15, '/ns/b#x'],
  [15, '/ns/b?#'],
  [15, '/ns/b#'],
  [16, '/ns/../b'],
  [16, '/ns/..'],
  [16, '/../ns/b'],
  [16, '/./ns/b'],
  [16, '/ns/.'],
  [16, '/ns/b/..'],
  [16, '//ns/b'],
  [16, '/ns//b'],
  [16, '/ns/b//'],
  [16, '///'],
  [16, '/ns%2fb'],
  [16, '/ns/%62'],
  [16, '/ns/b%00'],
  [16, '/ns/b%'],
  [16, '/ns/b%20'],
  [16, '/ns/%2e%2e'],
  [16, '/ns/b;a=b'],
  [16, '/ns;v=1/b'],
  [16, '/ns\\b'],
  [16, `/ns/${'b'.repeat(2_000)}`],
  [16, `/ns/b?${'x'.repeat(1_019)}`],
  [null, '/NS/b'],
  [null, '/ns/B'],
  [null, '/ns'],
  [null, '/ns/'],
  [null, '/ns/b/c'],
  [null, '/ns/b/c/'],
  [null, '/ns/-b'],
  [null, '/ns/b-'],
  [null, '/-ns/b'],
  [null, '/ns/b.'],
  [null, '/ns/.b'],
  [null, '/ns/b..c'],
  [null, '/n.s/b'],
  [null, '/ns/b_c'],
  [null, '/ns/b:80'],
  [null, '/ns/b@c'],
  [null, '/ns/b,c'],
  [null, '/ns/b&c=d'],
  [null, '/ns/b|c'],
  [null, '/ns/<script>'],
  [null, '/ns/"b"'],
  [null, '/ns/{b}'],
  [null, '/ns/__proto__'],
  [null, '/__proto__/b'],
  [null, `/${LABEL}a/b`],
  [null, `/ns/${LABEL}a`],
  [null, `/ns/${`${LABEL}.`.repeat(4)}a`],
];

/** A target that is fine, of a Broker that is not there. */
const UNKNOWN_TARGETS: readonly string[] = [
  '/ns/c',
  '/other/b',
  '/constructor/prototype',
  '/ns/tostring',
  `/${LABEL}/${LABEL}`,
  `/ns/${`${LABEL}.`.repeat(3)}${'a'.repeat(61)}`,
  '/0/0',
  '/ns/b.c',
  '/xn--caf-dma/b',
];

const GOOD_TARGETS: readonly string[] = [
  '/ns/b/',
  '/ns/b?',
  '/ns/b/?',
  '/ns/b?a=%2f',
  '/ns/b?../../etc/passwd',
  '/ns/b?%00%zz',
  '/ns/b?a=b&a=c;d',
  '/ns/b??',
  '/ns/b?/ns/c',
  `/ns/b?${'x'.repeat(1_018)}`,
];

const MALFORMED_TARGETS: readonly (readonly [name: string, target: string])[] = [
  ['empty', ''],
  ['without slash', 'ns/b'],
  ['a backslash first', '\\ns\\b'],
  ['UTF-8', '/ns/caf\u00c3\u00a9'],
  ['a space', '/ns /b'],
  ['a tab', '/ns/b\t'],
  ['NUL', '/ns/b\u0000'],
  ['DEL', '/ns/b\u007f'],
  ['a form feed', '/ns/b\f'],
  ['a bare CR', '/ns/b\r'],
];

const TARGETS: readonly BadInputRow[] = [
  ...INVALID_TARGETS.map(([number, target]) =>
    refused(number, `target ${shown(target)}`, rawRequest({ target }), 400, INVALID),
  ),
  ...UNKNOWN_TARGETS.map((target) =>
    refused(null, `target ${shown(target)}`, rawRequest({ target }), 404, UNKNOWN),
  ),
  ...GOOD_TARGETS.map((target) =>
    accepted(null, `target ${shown(target)}`, rawRequest({ target })),
  ),
  ...MALFORMED_TARGETS.map(([name, target]) =>
    refused(null, `target: ${name}`, rawRequest({ target }), 400, BAD, { isEnd: true }),
  ),
  refused(null, 'target: the root', rawRequest({ target: '/' }), 404, 'INGRESS_PATH_EMPTY'),
  refused(null, 'target: ?', rawRequest({ target: '/?a' }), 404, 'INGRESS_PATH_EMPTY'),
  refused(null, 'target: *', rawRequest({ target: '*' }), 400, INVALID),
  refused(null, 'target: host and port', rawRequest({ target: 'ns:80' }), 400, BAD, {
    isEnd: true,
  }),
];

function shown(target: string): string {
  return target.length <= 60 ? target : `${target.slice(0, 40)}… (${target.length})`;
}

const NOT_ALLOWED = 'HTTP_METHOD_NOT_ALLOWED';
const OTHER_METHODS: readonly string[] = [
  ...['GET', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND', 'MKCOL', 'LOCK', 'PURGE', 'QUERY'],
  ...['M-SEARCH', 'SEARCH', 'REPORT', 'SUBSCRIBE', 'LINK', 'SOURCE'],
];
const NO_METHODS: readonly string[] = [
  ...['post', 'Post', 'POSTX', 'PO', 'BREW', 'X', '', 'PO ST', 'P\u00d6ST', 'POST\u0000', '{POST}'],
];

const METHODS: readonly BadInputRow[] = [
  ...OTHER_METHODS.map((method) =>
    refused(isNumbered(method), `method ${method}`, rawRequest({ method }), 405, NOT_ALLOWED),
  ),
  ...NO_METHODS.map((method) =>
    refused(isNumbered(method), `method "${method}"`, rawRequest({ method }), 400, BAD, {
      isEnd: true,
    }),
  ),
  refused(17, 'CONNECT', 'CONNECT ns:80 HTTP/1.1\r\nHost: ns:80\r\n\r\n', 405, NOT_ALLOWED, {
    isEnd: true,
  }),
  refused(
    17,
    'CONNECT with a request behind it',
    `CONNECT ns:80 HTTP/1.1\r\nHost: ns:80\r\n\r\n${rawRequest()}`,
    405,
    NOT_ALLOWED,
    { isEnd: true },
  ),
  refused(17, 'no HTTP at all', 'hello\r\n\r\n', 400, BAD, { isEnd: true }),
  refused(17, 'HEAD', rawRequest({ method: 'HEAD', body: '' }), 405, NOT_ALLOWED, { isHead: true }),
  sequence(17, 'OPTIONS', rawRequest({ method: 'OPTIONS' }), [{ status: 200, code: null }]),
  sequence(null, 'OPTIONS *', rawRequest({ method: 'OPTIONS', target: '*' }), [
    { status: 200, code: null },
  ]),
];

function isNumbered(method: string): number | null {
  return ['post', 'TRACE', 'PUT', 'GET'].includes(method) ? 17 : null;
}

export const TARGET_ROWS: readonly BadInputRow[] = [...TARGETS, ...METHODS];
