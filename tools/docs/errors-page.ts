/**
 * docs/errors.md from the error tables. The page is for the person who has a code in a log line: what
 * it means, what to do next. Codes are unique in the whole program.
 */
import type { ErrorDefinition, ErrorTable } from '#lib/errors/mesh-error';
import type { TableExport } from './table-export.ts';
import { cell, generatedNotice } from './markdown-table.ts';

export interface Page {
  readonly text: string;
  /** What is wrong with the tables themselves. */
  readonly problems: readonly string[];
}

const CODE_PATTERN = /^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$/;

const RETRY_WORDS = { now: 'at once', backoff: 'after a back-off', never: 'no' } as const;

const INTRODUCTION = `Every fault carries one of these codes, in logs as \`code\`, in HTTP answers and on the command line.
*Retry* says whether the same call can succeed later; *HTTP* is the status of a request that ends in
the fault. A code never changes its meaning.`;

/** Makes the page. A code that two tables have, or a bad row, is a problem. */
export function errorsPage(tables: readonly TableExport[]): Page {
  const problems: string[] = [];
  const owners = new Map<string, string>();
  const sections = new Map<string, string[]>();
  for (const { file, name, value } of tables) {
    const folder = file.split('/').slice(0, -1).join('/');
    const rows = sections.get(folder) ?? [];
    sections.set(folder, rows);
    for (const [code, definition] of Object.entries(value as ErrorTable)) {
      const owner = owners.get(code);
      if (owner !== undefined) problems.push(`${file} ${name}: ${code} is already in ${owner}`);
      owners.set(code, file);
      for (const problem of rowProblems(code, definition)) {
        problems.push(`${file} ${name}: ${code}: ${problem}`);
      }
      rows.push(row(code, definition));
    }
  }
  const parts = ['# Errors', generatedNotice(), INTRODUCTION];
  for (const [folder, rows] of [...sections].sort(([left], [right]) => (left < right ? -1 : 1))) {
    const head = '| Code | Meaning | What to do | Retry | HTTP |\n| --- | --- | --- | --- | --- |';
    parts.push(`## ${folder}`, [head, ...rows.sort()].join('\n'));
  }
  return { text: `${parts.join('\n\n')}\n`, problems };
}

function row(code: string, definition: ErrorDefinition): string {
  const status = definition.httpStatus === undefined ? '' : String(definition.httpStatus);
  const cells = [`\`${code}\``, cell(definition.meaning), cell(definition.next)];
  return `| ${[...cells, RETRY_WORDS[definition.retry], status].join(' | ')} |`;
}

function* rowProblems(code: string, definition: ErrorDefinition): Generator<string> {
  if (!CODE_PATTERN.test(code)) yield 'a code is words with a prefix: CHANNEL_NOT_CONNECTED';
  for (const [field, text] of [
    ['meaning', definition.meaning],
    ['next', definition.next],
  ] as const) {
    if (!/^[A-Z`"\d]/.test(text)) yield `"${field}" does not read as a sentence`;
  }
}

/** What a stale page gets wrong, by code: both ways. */
export function codeDifferences(committed: string, wanted: string): readonly string[] {
  const codesOf = (text: string): ReadonlySet<string> =>
    new Set([...text.matchAll(/^\| `([A-Z0-9_]+)` \|/gm)].map(([, code]) => code ?? ''));
  const before = codesOf(committed);
  const after = codesOf(wanted);
  return [
    ...[...after].filter((code) => !before.has(code)).map((code) => `${code} is not in the page`),
    ...[...before].filter((code) => !after.has(code)).map((code) => `${code} is in no table`),
  ];
}
