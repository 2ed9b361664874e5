/**
 * The reporter that `tools/test/run-suite.ts` gives to `node --test`: prints failures, skips and
 * diagnostics as they come, nothing for what passes, and ends with one machine-read line of totals.
 * A `describe` is not counted, and a parent that fails only because a child failed is not either.
 */
import { inspect } from 'node:util';

/** Starts the last line; the rest of the line is a {@link SuiteTotals} as JSON. */
export const TOTALS_MARK = '@totals ';

export interface SuiteTotals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** The part of a `node:test` event that is read here. */
export interface ReporterEvent {
  readonly type: string;
  readonly data?: {
    readonly name?: string;
    readonly file?: string | undefined;
    readonly line?: number | undefined;
    readonly nesting?: number;
    readonly skip?: string | boolean | undefined;
    readonly todo?: string | boolean | undefined;
    readonly message?: string;
    readonly details?: {
      readonly type?: string | undefined;
      readonly error?: unknown;
      readonly duration_ms?: number;
    };
  };
}

export default async function* report(
  source: AsyncIterable<ReporterEvent>,
): AsyncGenerator<string> {
  const count = { passed: 0, failed: 0, skipped: 0 };
  for await (const event of source) {
    const data = event.data ?? {};
    switch (event.type) {
      case 'test:pass':
        if (data.details?.type === 'suite') break;
        if (isMarked(data.skip) || isMarked(data.todo)) {
          count.skipped++;
          yield `  skipped: ${data.name ?? ''} (${place(data)}): ${reasonOf(data)}\n`;
        } else {
          count.passed++;
        }
        break;
      case 'test:fail':
        if (isOnlyTheSumOfItsParts(data.details?.error)) break;
        count.failed++;
        yield `  failed: ${data.name ?? ''} (${place(data)})\n${indent(errorText(data.details?.error))}\n`;
        break;
      case 'test:stdout':
      case 'test:stderr':
        yield data.message ?? '';
        break;
      default:
        break;
    }
  }
  yield `${TOTALS_MARK}${JSON.stringify(count)}\n`;
}

function isMarked(mark: string | boolean | undefined): boolean {
  return mark !== undefined && mark !== false;
}

function reasonOf(data: NonNullable<ReporterEvent['data']>): string {
  const reason = isMarked(data.skip) ? data.skip : data.todo;
  return typeof reason === 'string' && reason !== '' ? reason : 'no reason given';
}

function place(data: NonNullable<ReporterEvent['data']>): string {
  return data.file === undefined ? 'no file' : `${data.file}:${data.line ?? 0}`;
}

/** A parent fails because a child did; the child was counted. */
function isOnlyTheSumOfItsParts(error: unknown): boolean {
  return isRecord(error) && error['failureType'] === 'subtestsFailed';
}

/** `node:test` wraps what a test threw; the wrapped error is the one to read. */
function errorText(error: unknown): string {
  const cause = isRecord(error) && error['cause'] !== undefined ? error['cause'] : error;
  return cause instanceof Error ? inspect(cause) : inspect(cause, { depth: 4 });
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function indent(text: string): string {
  return text.replace(/^/gm, '    ');
}
