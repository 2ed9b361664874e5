/** Reads choices out of an input, for targets whose input is a plan; behind its end all is zero. */

export class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  byte(): number {
    this.#at += 1;
    return this.#bytes[this.#at - 1] ?? 0;
  }

  /** Of 16 bits. */
  word(): number {
    return this.byte() * 256 + this.byte();
  }

  isOdd(): boolean {
    return this.byte() % 2 === 1;
  }

  pick<Value>(values: readonly [Value, ...Value[]]): Value {
    return values[this.byte() % values.length] ?? values[0];
  }

  take(length: number): Buffer {
    const part = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return part;
  }

  rest(): Buffer {
    return this.take(this.#bytes.length);
  }
}
