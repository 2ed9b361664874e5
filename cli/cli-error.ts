/** A mistake of the caller, with what to do about it; `program.ts` prints it. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly next: string | null;

  constructor(message: string, next: string | null = null) {
    super(message);
    this.next = next;
  }
}
