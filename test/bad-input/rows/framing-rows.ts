/** Rows about the frame of a request: lengths, chunks, lines, versions, Host, Expect, limits of heads. */
import { rawRequest } from '#services/ingress/raw-client';
import { CONTINUE, MALFORMED, TAKEN, accepted, chunked, framed, no } from '../bad-input-row.ts';
import { refused, replaced, sequence, withLine } from '../bad-input-row.ts';
import type { BadInputRow, RefusalCode } from '../bad-input-row.ts';

const BAD = 'HTTP_REQUEST_MALFORMED';
const LARGE = 'HTTP_HEADERS_TOO_LARGE';
const VERSION = 'HTTP_VERSION_UNSUPPORTED';
const HOST = 'HTTP_HOST_INVALID';
const CHUNKED_TWO = '2\r\n{}\r\n0\r\n\r\n';
const END = { isEnd: true } as const;

function extraHeaders(count: number): string {
  return rawRequest({ lines: Array.from({ length: count }, (_, index) => `x-${index}: 1`) });
}

const NUMBERED: readonly BadInputRow[] = [
  refused(
    1,
    'length and chunked',
    framed(['Content-Length: 2', 'Transfer-Encoding: chunked'], CHUNKED_TWO),
    400,
    BAD,
    END,
  ),
  refused(
    1,
    'chunked and length',
    framed(['Transfer-Encoding: chunked', 'Content-Length: 2'], CHUNKED_TWO),
    400,
    BAD,
    END,
  ),
  refused(2, 'equal lengths', framed(['Content-Length: 2', 'Content-Length: 2'], '{}'), 400, BAD),
  refused(3, 'other lengths', framed(['Content-Length: 2', 'Content-Length: 3'], '{}'), 400, BAD),
  ...['+2', '-1', '0x2', '9'.repeat(23), '2,2', '2 2', '', '2.0', '1e0', '\u00b2', '2;'].map(
    (value) =>
      refused(4, `length "${value}"`, framed([`Content-Length: ${value}`], '{}'), 400, BAD),
  ),
  ...['chunked, identity', 'xchunked', 'identity', 'chunked;q=1', 'gzip', ''].map((value) =>
    refused(
      5,
      `Transfer-Encoding "${value}"`,
      framed([`Transfer-Encoding: ${value}`], CHUNKED_TWO),
      400,
      BAD,
      END,
    ),
  ),
  refused(6, 'chunk size 0x1', chunked('0x1\r\na\r\n0\r\n\r\n'), 400, BAD, END),
  refused(6, 'chunk without CRLF', chunked('2\r\n{}0\r\n\r\n'), 400, BAD, END),
  refused(
    7,
    'chunk extension of 20 KB',
    chunked(`2;${'x'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`),
    413,
    'HTTP_CHUNK_EXTENSIONS_TOO_LARGE',
    END,
  ),
  refused(8, 'space before colon', withLine('ce-subject : x'), 400, BAD, END),
  refused(8, 'folded line', withLine('ce-subject: x\r\n y'), 400, BAD, END),
  refused(8, 'bare LF', rawRequest().replaceAll('\r\n', '\n'), 400, BAD, END),
  refused(8, 'bare CR', withLine('ce-subject: a\rb'), 400, BAD, END),
  refused(8, 'NUL', withLine('ce-subject: a\u0000b'), 400, BAD, END),
  refused(8, 'DEL', withLine('ce-subject: a\u007fb'), 400, BAD, END),
  refused(
    9,
    'TAB in an attribute',
    withLine('ce-subject: a\tb'),
    400,
    'CLOUDEVENTS_ATTRIBUTE_CHARACTER_INVALID',
  ),
  refused(
    10,
    'Latin-1 in an attribute',
    withLine('ce-subject: caf\u00e9'),
    400,
    'CLOUDEVENTS_ATTRIBUTE_ENCODING_INVALID',
  ),
  accepted(10, 'UTF-8 in an attribute', withLine('ce-subject: caf\u00c3\u00a9'), {
    subject: 'café',
  }),
  ...['HTTP/2.0', 'HTTP/0.9'].map((version) =>
    refused(11, version, rawRequest({ version }), 505, 'HTTP_VERSION_UNSUPPORTED'),
  ),
  ...['HTTP/1.2', 'HTTP/3.0', 'http/1.1', 'HTTP/1', 'HTTP/11', 'HTTPS/1.1', 'ICE/1.0'].map(
    (version) => refused(11, version, rawRequest({ version }), 400, BAD, END),
  ),
  refused(
    12,
    '1.0 no Host',
    rawRequest({ version: 'HTTP/1.0', without: ['host'] }),
    400,
    HOST,
    END,
  ),
  refused(12, '1.1 no Host', rawRequest({ without: ['host'] }), 400, HOST),
  accepted(12, '1.0 with Host', rawRequest({ version: 'HTTP/1.0' }), null, END),
  refused(13, 'two Hosts', withLine('Host: 127.0.0.1'), 400, HOST),
  refused(18, 'Expect: foo', withLine('Expect: foo'), 417, 'HTTP_EXPECTATION_UNKNOWN'),
  accepted(
    19,
    'Upgrade: h2c',
    rawRequest({
      lines: [
        'Connection: Upgrade, HTTP2-Settings',
        'Upgrade: h2c',
        'HTTP2-Settings: AAMAAABkAAQAAP__',
      ],
    }),
  ),
  refused(20, '17 KiB header', withLine(`x-large: ${'x'.repeat(17 * 1_024)}`), 431, LARGE, END),
  refused(20, 'value of 8,193', withLine(`x-large: ${'x'.repeat(8_193)}`), 431, LARGE),
  accepted(20, 'value of 8,192', withLine(`x-large: ${'x'.repeat(8_192)}`)),
  refused(20, '101 headers', extraHeaders(94), 431, LARGE),
  accepted(20, '100 headers', extraHeaders(93)),
  refused(20, '1,990 headers', extraHeaders(1_990), 431, LARGE),
  sequence(
    21,
    'pipelined behind an empty body',
    rawRequest({ body: '' }) + rawRequest({ without: ['ce-id'] }) + rawRequest(),
    [TAKEN, no(400, 'CLOUDEVENTS_ATTRIBUTE_MISSING'), TAKEN],
  ),
  refused(
    22,
    'trailer with ce-id',
    rawRequest({
      without: ['content-length', 'ce-id'],
      lines: ['Transfer-Encoding: chunked', 'Trailer: ce-id'],
      body: '2\r\n{}\r\n0\r\nce-id: 7\r\n\r\n',
    }),
    400,
    'CLOUDEVENTS_ATTRIBUTE_MISSING',
  ),
  accepted(22, 'trailer with an extension', chunked('2\r\n{}\r\n0\r\nce-x: 7\r\n\r\n'), {
    extensions: { x: null },
  }),
];

/** Chunked bodies that are fine, and the data that they make. */
const GOOD_CHUNKS: readonly (readonly [name: string, rest: string, data: string | null])[] = [
  ['two chunks', '1\r\n{\r\n1\r\n}\r\n0\r\n\r\n', '{}'],
  ['upper-case size', 'A\r\n0123456789\r\n0\r\n\r\n', '0123456789'],
  ['leading zeros', '0000000002\r\n{}\r\n000\r\n\r\n', '{}'],
  ['no chunk', '0\r\n\r\n', null],
  ['an extension', '2;a=b\r\n{}\r\n0\r\n\r\n', '{}'],
  ['a quoted extension', '2;a="b;c"\r\n{}\r\n0\r\n\r\n', '{}'],
  ['an extension on the last chunk', '2\r\n{}\r\n0;a\r\n\r\n', '{}'],
  ['CRLF in the data', '4\r\n\r\n\r\n\r\n0\r\n\r\n', '\r\n\r\n'],
];

const BAD_CHUNKS: readonly (readonly [name: string, rest: string])[] = [
  ['a negative size', '-2\r\n{}\r\n0\r\n\r\n'],
  ['a signed size', '+2\r\n{}\r\n0\r\n\r\n'],
  ['a space before the size', ' 2\r\n{}\r\n0\r\n\r\n'],
  ['a size of 17 digits', 'FFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n'],
  ['no size', '\r\n{}\r\n0\r\n\r\n'],
  ['a letter beyond F', 'G\r\n{}\r\n0\r\n\r\n'],
  ['bare LF behind the size', '2\n{}\r\n0\r\n\r\n'],
  ['bare LF behind the data', '2\r\n{}\n0\r\n\r\n'],
  ['bare CR behind the size', '2\r{}\r\n0\r\n\r\n'],
  ['a shorter size', '1\r\n{}\r\n0\r\n\r\n'],
  ['a size with an underscore', '0_2\r\n{}\r\n0\r\n\r\n'],
  ['a bad trailer', '2\r\n{}\r\n0\r\nbad trailer\r\n\r\n'],
  ['NUL in an extension', '2;a=\u0000\r\n{}\r\n0\r\n\r\n'],
  ['CR in an extension', '2;a=\rb\r\n{}\r\n0\r\n\r\n'],
];

const CHUNKS: readonly BadInputRow[] = [
  ...GOOD_CHUNKS.map(([name, rest, data]) =>
    accepted(null, `chunks: ${name}`, chunked(rest), { data }),
  ),
  ...BAD_CHUNKS.map(([name, rest]) =>
    refused(null, `chunks: ${name}`, chunked(rest), 400, BAD, END),
  ),
  refused(null, 'chunks: one of 2^60 bytes', chunked('1000000000000000\r\n{}'), 400, BAD, {
    isHalfClosed: true,
    isEnd: true,
  }),
  refused(null, 'chunks: the last is missing', chunked('2\r\n{}\r\n'), 400, BAD, {
    isHalfClosed: true,
    isEnd: true,
  }),
  refused(null, 'chunks: the last line is missing', chunked('2\r\n{}\r\n0\r\n'), 400, BAD, {
    isHalfClosed: true,
    isEnd: true,
  }),
  refused(
    null,
    'chunks: 20 KB of trailers',
    chunked(`2\r\n{}\r\n0\r\n${`x-trailer: ${'x'.repeat(990)}\r\n`.repeat(20)}\r\n`),
    431,
    LARGE,
    END,
  ),
  accepted(
    null,
    'chunks: TRANSFER-ENCODING: CHUNKED',
    framed(['TRANSFER-ENCODING: CHUNKED'], CHUNKED_TWO),
    {
      data: '{}',
    },
  ),
  accepted(
    null,
    'chunks: one byte at a time',
    '',
    { data: '{}' },
    {
      pieces: [...chunked(CHUNKED_TWO)],
    },
  ),
  refused(
    null,
    'chunks: two Transfer-Encodings',
    framed(['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], CHUNKED_TWO),
    400,
    BAD,
    END,
  ),
  refused(
    null,
    'chunks: chunked twice',
    framed(['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], CHUNKED_TWO),
    400,
    BAD,
    END,
  ),
  refused(
    null,
    'chunks: gzip, chunked',
    framed(['Transfer-Encoding: gzip, chunked'], CHUNKED_TWO),
    400,
    BAD,
    END,
  ),
  refused(
    null,
    'chunks in HTTP/1.0',
    rawRequest({
      version: 'HTTP/1.0',
      without: ['content-length'],
      lines: ['Transfer-Encoding: chunked'],
      body: CHUNKED_TWO,
    }),
    400,
    BAD,
    END,
  ),
];

/** Lines of a head that the parser must refuse. */
const BAD_LINES: readonly (readonly [name: string, line: string])[] = [
  ['no colon', 'ce-subject'],
  ['an empty name', ': x'],
  ['a space in the name', 'ce subject: x'],
  ['a parenthesis in the name', 'ce(subject): x'],
  ['a quote in the name', '"ce-subject": x'],
  ['a slash in the name', 'ce/subject: x'],
  ['an at sign in the name', 'ce@subject: x'],
  ['UTF-8 in the name', 'ce-subj\u00c3\u00a9ct: x'],
  ['NUL in the name', 'ce-sub\u0000ject: x'],
  ['a tab before the colon', 'ce-subject\t: x'],
  ['a bell in the value', 'ce-subject: a\u0007b'],
  ['an escape in the value', 'ce-subject: a\u001bb'],
  ['LF and a line', 'ce-subject: a\nce-evil: b'],
  ['CR and a line', 'ce-subject: a\rce-evil: b'],
  ['a line of one space', ' '],
  ['a folded Content-Length', 'x-a: b\r\n\tContent-Length: 5'],
  ['Transfer-Encoding with a space', 'Transfer-Encoding : chunked'],
  ['Transfer-Encoding with a vertical tab', 'Transfer-Encoding: \u000bchunked'],
];

const LINES: readonly BadInputRow[] = [
  ...BAD_LINES.map(([name, line]) => refused(null, `line: ${name}`, withLine(line), 400, BAD, END)),
  accepted(null, 'line: CRLF makes a header of its own', withLine('ce-subject: a\r\nce-x: b'), {
    subject: 'a',
    extensions: { x: 'b' },
  }),
  accepted(null, 'line: space and tab around a value', withLine('ce-subject: \t a \t '), {
    subject: 'a',
  }),
  accepted(null, 'line: no space behind the colon', withLine('ce-subject:a'), { subject: 'a' }),
  accepted(null, 'line: any case in a name', withLine('Ce-SuBjEcT: a'), { subject: 'a' }),
  accepted(null, 'line: Content-Length with spaces', framed(['Content-Length:  \t2 '], '{}')),
  accepted(null, 'line: Content-Length with zeros', framed(['Content-Length: 0002'], '{}')),
  accepted(null, 'an empty line before the request', `\r\n\r\n${rawRequest()}`),
  refused(null, 'a space before the method', ` ${rawRequest()}`, 400, BAD, END),
  accepted(null, 'two spaces before the version', rawRequest({ target: '/ns/b ' })),
  refused(null, 'a tab before the target', rawRequest().replace(' ', '\t'), 400, BAD, END),
  refused(null, 'a request line without version', 'POST /ns/b\r\nHost: a\r\n\r\n', 505, VERSION),
  refused(null, 'NUL bytes', '\u0000\u0000\u0000\u0000\r\n\r\n', 400, BAD, END),
  accepted(null, 'no Content-Length and no chunks is no body', framed([], ''), { data: null }),
];

const HOSTS: readonly (readonly [host: string, isGood: boolean])[] = [
  ['', false],
  ['a@b', false],
  ['a/b', false],
  ['a b', false],
  ['a,b', false],
  ['a"b', false],
  ['<script>', false],
  ['a\\b', false],
  ['caf\u00c3\u00a9', false],
  [`${'a'.repeat(262)}`, false],
  [`${'a'.repeat(250)}:65535`, true],
  ['[::1]:8080', true],
  ['localhost', true],
  ['xn--caf-dma.example:80', true],
];

const HOST_ROWS: readonly BadInputRow[] = HOSTS.map(([host, isGood]) => {
  const name = `Host "${host.length > 40 ? host.length : host}"`;
  const bytes = replaced('host', host);
  return isGood ? accepted(13, name, bytes) : refused(13, name, bytes, 400, HOST);
});

const EXPECTS: readonly BadInputRow[] = [
  sequence(null, 'Expect: 100-continue', withLine('Expect: 100-continue'), [CONTINUE, TAKEN]),
  sequence(null, 'Expect: 100-Continue', withLine('Expect: 100-Continue'), [CONTINUE, TAKEN]),
  // A server may answer 417 to the second word; Node hears the first.
  sequence(null, 'Expect with two words', withLine('Expect: 100-continue, foo'), [CONTINUE, TAKEN]),
  refused(
    null,
    'Expect and no id: no 100',
    rawRequest({ without: ['ce-id'], lines: ['Expect: 100-continue'] }),
    400,
    'CLOUDEVENTS_ATTRIBUTE_MISSING',
  ),
  refused(
    null,
    'Expect and a large length: no 100',
    framed(['Expect: 100-continue', 'Content-Length: 1048577'], ''),
    413,
    'INGRESS_BODY_TOO_LARGE',
    { isEnd: true, isHalfClosed: true },
  ),
  refused(
    null,
    'Expect and GET: no 100',
    rawRequest({ method: 'GET', lines: ['Expect: 100-continue'] }),
    405,
    'HTTP_METHOD_NOT_ALLOWED',
  ),
];

const CLOSED = { isEnd: true, isHalfClosed: true } as const;

/** Several requests on one connection. */
const PIPELINES: readonly BadInputRow[] = [
  sequence(null, 'pipeline: three good ones', rawRequest().repeat(3), [TAKEN, TAKEN, TAKEN]),
  sequence(
    null,
    'pipeline: good behind a wrong method',
    rawRequest({ method: 'PUT' }) + rawRequest(),
    [no(405, 'HTTP_METHOD_NOT_ALLOWED'), TAKEN],
  ),
  sequence(
    null,
    'pipeline: nothing behind what is malformed',
    `x${rawRequest().repeat(2)}`,
    [MALFORMED],
    END,
  ),
  sequence(
    null,
    'pipeline: nothing behind Connection: close',
    withLine('Connection: close') + rawRequest(),
    [TAKEN],
    { silentCode: BAD, ...END },
  ),
  sequence(
    null,
    'pipeline: nothing behind HTTP/1.0',
    rawRequest({ version: 'HTTP/1.0' }) + rawRequest(),
    [TAKEN],
    { silentCode: BAD, ...END },
  ),
  sequence(
    null,
    'pipeline: HTTP/1.0 with keep-alive',
    rawRequest({ version: 'HTTP/1.0', lines: ['Connection: keep-alive'] }) + rawRequest(),
    [TAKEN, TAKEN],
  ),
  accepted(null, 'pipeline: a request inside a body is data', rawRequest({ body: rawRequest() }), {
    data: rawRequest(),
  }),
  sequence(
    null,
    'pipeline: behind a chunked body',
    chunked(CHUNKED_TWO) + rawRequest({ method: 'TRACE' }) + chunked(CHUNKED_TWO),
    [TAKEN, no(405, 'HTTP_METHOD_NOT_ALLOWED'), TAKEN],
  ),
  sequence(
    null,
    'pipeline: nothing behind an announced body that is too large',
    framed(['Content-Length: 104857600'], '') + rawRequest(),
    [no(413, 'INGRESS_BODY_TOO_LARGE')],
    CLOSED,
  ),
  sequence(
    null,
    'pipeline: behind a refused body that is short',
    rawRequest({ without: ['ce-id'], body: 'x'.repeat(60_000) }) + rawRequest(),
    [no(400, 'CLOUDEVENTS_ATTRIBUTE_MISSING'), TAKEN],
  ),
  sequence(
    null,
    'pipeline: a shorter length leaves garbage',
    framed(['Content-Length: 1'], '{}') + rawRequest(),
    [TAKEN, MALFORMED],
    END,
  ),
  sequence(
    null,
    'pipeline: cut in the second head',
    rawRequest() + rawRequest().slice(0, 40),
    [TAKEN, MALFORMED],
    CLOSED,
  ),
  sequence(
    null,
    'pipeline: half closed behind two',
    rawRequest().repeat(2),
    [TAKEN, TAKEN],
    CLOSED,
  ),
  sequence(
    null,
    'pipeline: OPTIONS between two',
    rawRequest() + rawRequest({ method: 'OPTIONS' }) + rawRequest(),
    [TAKEN, { status: 200, code: null }, TAKEN],
  ),
  sequence(null, 'nothing at all', '', [], CLOSED),
  sequence(null, 'an empty line and the end', '\r\n', [], CLOSED),
  accepted(null, 'a request one byte at a time', '', null, { pieces: [...rawRequest()] }),
  accepted(null, 'a head cut between CR and LF', '', null, {
    pieces: rawRequest().split(/(?<=\r)(?=\n)/),
  }),
  sequence(null, 'the prologue of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [MALFORMED], END),
  sequence(null, 'TLS, one byte', '\u0016', [], { silentCode: BAD, ...CLOSED }),
  sequence(null, 'SSH', 'SSH-2.0-OpenSSH_9.6\r\n', [MALFORMED], END),
  sequence(null, 'SMTP', 'EHLO example\r\n', [MALFORMED], END),
  sequence(
    null,
    'a proxy header',
    `PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n${rawRequest()}`,
    [MALFORMED],
    END,
  ),
];

/** Refused by its head, and then its body is no body: the first answer is the only one. */
const TWICE_BAD: readonly BadInputRow[] = [
  rawRequest({
    without: ['content-length', 'ce-id'],
    lines: ['Transfer-Encoding: chunked'],
    body: 'x\r\n',
  }),
  rawRequest({
    without: ['content-length', 'ce-id'],
    lines: ['Transfer-Encoding: chunked'],
    body: '2\r\n{}0\r\n\r\n',
  }),
].map((bytes, at) =>
  refused(null, `no id, and a bad chunk ${at}`, bytes, 400, 'CLOUDEVENTS_ATTRIBUTE_MISSING', END),
);

const TLS_HELLO = '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003';

/** Bodies against their announced and allowed lengths. The attributes of the usual event are 79 bytes. */
const BODY_MAX = 1_048_576 - 79;
const TOO_LARGE: RefusalCode = 'INGRESS_BODY_TOO_LARGE';
const BODIES: readonly BadInputRow[] = [
  accepted(57, 'the largest body', rawRequest({ body: 'x'.repeat(BODY_MAX) })),
  refused(57, 'one byte more', rawRequest({ body: 'x'.repeat(BODY_MAX + 1) }), 413, TOO_LARGE),
  refused(57, '1 MiB + 1', rawRequest({ body: 'x'.repeat(1_048_577) }), 413, TOO_LARGE),
  accepted(57, 'the largest in chunks', chunked(inChunks(BODY_MAX))),
  refused(57, 'one more byte in chunks', chunked(inChunks(BODY_MAX + 1)), 413, TOO_LARGE, END),
  refused(
    57,
    'announced 4 GiB',
    framed(['Content-Length: 4294967296'], ''),
    413,
    TOO_LARGE,
    CLOSED,
  ),
  refused(
    57,
    'announced 2^53 + 1',
    framed(['Content-Length: 9007199254740993'], ''),
    413,
    TOO_LARGE,
    CLOSED,
  ),
  refused(57, 'fewer bytes than announced', framed(['Content-Length: 10'], '{}'), 400, BAD, CLOSED),
  sequence(
    57,
    'more bytes than announced',
    `${rawRequest()}{"more":1}\r\n\r\n`,
    [TAKEN, MALFORMED],
    END,
  ),
  refused(57, 'a slow body', framed(['Content-Length: 10'], '{'), 408, 'HTTP_REQUEST_TIMEOUT', {
    isHurried: true,
    isEnd: true,
  }),
  refused(57, 'a slow chunk', chunked('5\r\n{'), 408, 'HTTP_REQUEST_TIMEOUT', {
    isHurried: true,
    isEnd: true,
  }),
  refused(57, 'a slow head', 'POST /ns/b HTTP/1.1\r\nHost: a\r\n', 408, 'HTTP_REQUEST_TIMEOUT', {
    isHurried: true,
    isEnd: true,
  }),
  sequence(59, 'a TLS handshake', TLS_HELLO, [], { silentCode: BAD, isEnd: true }),
  sequence(59, 'TLS behind an event', rawRequest() + TLS_HELLO, [TAKEN, MALFORMED], END),
];

function inChunks(sizeBytes: number): string {
  const whole = `8000\r\n${'x'.repeat(0x8000)}\r\n`.repeat(Math.floor(sizeBytes / 0x8000));
  const rest = sizeBytes % 0x8000;
  return `${whole}${rest.toString(16)}\r\n${'x'.repeat(rest)}\r\n0\r\n\r\n`;
}

export const FRAMING_ROWS: readonly BadInputRow[] = [
  ...NUMBERED,
  ...CHUNKS,
  ...LINES,
  ...HOST_ROWS,
  ...EXPECTS,
  ...PIPELINES,
  ...TWICE_BAD,
  ...BODIES,
];
