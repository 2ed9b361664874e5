/** What commands print: tables for people, JSON for programs. */
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';

export interface OutputOptions {
  readonly output?: string;
}

export function addOutputOption(command: Command): Command {
  return command.option(
    '-o, --output <format>',
    'json: one JSON value (or one a line)',
    (given) => {
      if (given !== 'json') throw new InvalidArgumentError('known: json');
      return given;
    },
  );
}

export function isJson(options: OutputOptions): boolean {
  return options.output === 'json';
}

export function json(value: unknown): string {
  return JSON.stringify(value, null, 2);
}

/** Columns as wide as their widest cell, two spaces between; no line for no rows but the heads. */
export function table(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
): readonly string[] {
  const widths = heads.map((head, index) =>
    Math.max(head.length, ...rows.map((row) => row[index]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd();
  return [line(heads), ...rows.map(line)];
}

/** `2 s`, `5 min`, `3 h`, `4 d`. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800
    ? `${Math.round(seconds / 3_600)} h`
    : `${Math.round(seconds / 86_400)} d`;
}

/** A text from outside on one line of a terminal. */
export function oneLine(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (char) => {
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** Local time of day with milliseconds. */
export function clockText(wallMs: number): string {
  const date = new Date(wallMs);
  const two = (value: number): string => String(value).padStart(2, '0');
  const ms = String(date.getMilliseconds()).padStart(3, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
}
