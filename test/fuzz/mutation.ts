/**
 * Makes new inputs from known ones: bytes flipped, put in, taken out, repeated, words of the target's
 * dictionary, pieces of two inputs. Invariant: the same seed and iteration over the same corpus give
 * the same input.
 */
import { createSeededRandom } from '#lib/random/random';
import type { Random } from '#lib/random/random';

export interface MutationSource {
  /** Known inputs; may be empty. */
  readonly inputs: readonly Buffer[];
  readonly dictionary: readonly string[];
  readonly inputBytesMax: number;
}

const STEPS_MAX = 8;
const FRESH_BYTES_MAX = 64;
const REPEAT_MAX = 64;
/** Bytes that parsers care about, and the ends of ranges. */
const TELLING_BYTES = Buffer.from(
  '\u0000\u0001\t\n\r "#%&\'()*+,-./0:;<=>?@AZ[\\]^_`az{|}~\u007f\u0080\u00bf\u00c0\u00c3\u00e2\u00ed\u00f0\u00fe\u00ff',
  'latin1',
);
/** Of 32 inputs one is made of nothing, so that no corpus limits what is tried. */
const FRESH_EVERY = 32;

/** The input of that iteration. */
export function inputAt(source: MutationSource, seed: number, iteration: number): Buffer {
  const random = createSeededRandom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(iteration, 0x85ebca6b));
  random.float(); // The first number of neighbouring seeds is alike.
  const { inputs, inputBytesMax } = source;
  if (inputs.length === 0 || random.below(FRESH_EVERY) === 0) return freshBytes(random);
  let input = pick(random, inputs) ?? Buffer.alloc(0);
  for (let step = 1 + random.below(STEPS_MAX); step > 0; step -= 1) {
    input = mutate(input, source, random).subarray(0, inputBytesMax);
  }
  return Buffer.from(input);
}

function freshBytes(random: Random): Buffer {
  return Buffer.from(
    Array.from({ length: random.below(FRESH_BYTES_MAX) }, () => random.below(256)),
  );
}

// Long because: one case per kind of mutation, side by side.
function mutate(input: Buffer, source: MutationSource, random: Random): Buffer {
  const at = random.below(input.length + 1);
  const length = lengthOf(random, input.length - at);
  switch (random.below(11)) {
    case 0:
      return withByte(input, at, (input[at] ?? 0) ^ (1 << random.below(8)));
    case 1:
      return withByte(input, at, random.below(256));
    case 2:
      return withByte(input, at, tellingByte(random));
    case 3:
      return splice(input, at, 0, Buffer.of(tellingByte(random)));
    case 4:
      return splice(input, at, length, Buffer.alloc(0));
    case 5: {
      const word = Buffer.from(pick(random, source.dictionary) ?? '', 'latin1');
      return splice(input, at, random.below(2) === 0 ? 0 : word.length, word);
    }
    case 6: {
      const part = input.subarray(at, at + length);
      return splice(input, at, 0, repeated(part, random.below(REPEAT_MAX), source.inputBytesMax));
    }
    case 7: {
      const from = random.below(input.length + 1);
      return splice(input, at, 0, input.subarray(from, from + length));
    }
    case 8: {
      const other = pick(random, source.inputs) ?? input;
      const from = random.below(other.length + 1);
      return splice(input, at, length, other.subarray(from, from + lengthOf(random, other.length)));
    }
    case 9: {
      const other = pick(random, source.inputs) ?? input;
      return Buffer.concat([input.subarray(0, at), other.subarray(random.below(other.length + 1))]);
    }
    default:
      return withNumber(input, random);
  }
}

/** Another number in place of one that is there, at an end of what fits somewhere. */
function withNumber(input: Buffer, random: Random): Buffer {
  const found = [...input.toString('latin1').matchAll(/\d+/g)];
  const number = pick(random, found);
  if (number === undefined) return input;
  const written = Buffer.from(pick(random, NUMBERS) ?? '0');
  return splice(input, number.index, number[0].length, written);
}

const NUMBERS: readonly string[] = [
  ...['0', '-0', '1', '-1', '9', '10', '63', '64', '65', '99', '100', '127', '128', '255', '256'],
  ...['999', '1024', '8192', '8193', '65535', '65536', '2147483647', '2147483648', '-2147483648'],
  ...[
    '-2147483649',
    '4294967295',
    '9007199254740993',
    '1e400',
    '1.5',
    '00',
    '18446744073709551616',
  ],
];

function withByte(input: Buffer, at: number, byte: number): Buffer {
  const changed = Buffer.from(input);
  if (at < changed.length) changed[at] = byte;
  return changed;
}

function splice(input: Buffer, at: number, length: number, part: Buffer): Buffer {
  return Buffer.concat([input.subarray(0, at), part, input.subarray(at + length)]);
}

function repeated(part: Buffer, count: number, bytesMax: number): Buffer {
  const fitting = part.length === 0 ? 0 : Math.min(count, Math.floor(bytesMax / part.length));
  return Buffer.concat(Array.from({ length: fitting }, () => part));
}

/** Mostly short. */
function lengthOf(random: Random, lengthMax: number): number {
  const bound = random.below(4) === 0 ? lengthMax : Math.min(lengthMax, 8);
  return random.below(bound + 1);
}

function tellingByte(random: Random): number {
  return TELLING_BYTES[random.below(TELLING_BYTES.length)] ?? 0;
}

function pick<Value>(random: Random, values: readonly Value[]): Value | undefined {
  return values[random.below(values.length)];
}
