/**
 * `npm run tidy`: the structure of the repository as a test. Reads every file that git knows or would
 * add, runs the rules, prints one line for each finding and ends with status 1 if there is one.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { bannedCallRule, castRule, sizeRule, skippedTestRule } from './code-rules.ts';
import { deadFileRule, importRules } from './import-rules.ts';
import { createTree } from './source-tree.ts';
import type { Rule } from './source-tree.ts';
import {
  commentRule,
  markdownRule,
  nameRule,
  openingCommentRule,
  readmeRule,
  textRule,
} from './text-rules.ts';

const RULES: readonly Rule[] = [
  importRules,
  deadFileRule,
  bannedCallRule,
  castRule,
  sizeRule,
  skippedTestRule,
  nameRule,
  openingCommentRule,
  commentRule,
  textRule,
  markdownRule,
  readmeRule,
];

const root = path.resolve(import.meta.dirname, '../..');

/** Tracked files and new ones that are not ignored, less those deleted from the work tree. */
function listFiles(): readonly string[] {
  const list = (...args: readonly string[]): readonly string[] =>
    execFileSync('git', ['ls-files', '-z', ...args], { cwd: root, encoding: 'utf8' })
      .split('\0')
      .filter((file) => file !== '');
  const deleted = new Set(list('--deleted'));
  return list('--cached', '--others', '--exclude-standard').filter((file) => !deleted.has(file));
}

/** The texts of all files; a file with a NUL byte is not text and counts as empty. */
function readTexts(files: readonly string[]): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const file of files) {
    const bytes = readFileSync(path.join(root, file));
    texts.set(file, bytes.includes(0) ? '' : bytes.toString());
  }
  return texts;
}

const tree = createTree(readTexts(listFiles()));
const findings = RULES.flatMap((rule) => [...rule(tree)]);
findings.sort((left, right) => left.file.localeCompare(right.file) || left.line - right.line);
for (const { file, line, rule, message } of findings) {
  process.stdout.write(`${file}:${line} ${rule}: ${message}\n`);
}
process.stdout.write(`${tree.sources.length} source files, ${findings.length} findings\n`);
process.exitCode = findings.length === 0 ? 0 : 1;
