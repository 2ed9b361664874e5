/**
 * Rules over names, comments and plain text: file names, opening comments, open ends, paths and hosts
 * of one machine, Markdown titles and links, folder READMEs, nested manifests.
 */
import path from 'node:path';
import { EMPTY_NAMES, EMPTY_NAME_WORDS, LIMITS } from './structure.ts';
import { isTestFile } from './source-tree.ts';
import type { Finding, Tree } from './source-tree.ts';

const SOURCE_NAME = /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test)?\.ts$/;
const FOLDER_NAME = /^[a-z0-9]+(?:[-.][a-z0-9]+)*$/;

export function* nameRule(tree: Tree): Generator<Finding> {
  for (const { path: file } of tree.sources) {
    const base = path.posix.basename(file);
    const name = base.replace(/(?:\.test)?\.ts$/, '');
    const emptyWord = name.split('-').find((word) => EMPTY_NAME_WORDS.includes(word));
    if (base.endsWith('.config.ts')) continue;
    if (!SOURCE_NAME.test(base)) {
      yield finding(file, 1, 'name', 'file names are kebab-case nouns: retry-policy.ts');
    } else if (emptyWord !== undefined || EMPTY_NAMES.includes(name)) {
      const message = `"${emptyWord ?? name}" says nothing: name the file for its main export`;
      yield finding(file, 1, 'name', message);
    }
    const folder = path.posix
      .dirname(file)
      .split('/')
      .find((part) => !FOLDER_NAME.test(part));
    if (folder !== undefined && folder !== '.') {
      yield finding(file, 1, 'name', `folder names are kebab-case, not "${folder}"`);
    }
  }
}

/**
 * Every file says at its top what it is, who uses it, and what invariant it keeps. The test of a file
 * beside it is said by its name.
 */
export function* openingCommentRule(tree: Tree): Generator<Finding> {
  for (const source of tree.sources) {
    if (tree.texts.has(source.path.replace(/\.test\.ts$/, '.ts')) && isTestFile(source.path))
      continue;
    const start = source.ast.statements[0]?.getStart(source.ast) ?? source.text.length;
    const first = source.comments[0];
    const isAtTop = first !== undefined && source.text.indexOf(first.text) < start;
    const words = (first?.text ?? '').match(/[A-Za-z]{2,}/g) ?? [];
    if (isAtTop && words.length >= 4) continue;
    const message = 'open the file with a comment: what it is, who uses it, the invariant it keeps';
    yield finding(source.path, 1, 'opening-comment', message);
  }
}

const OPEN_END = /\b(?:TODO|FIXME|XXX|HACK)\b(?!\(#\d+\))/;
const CHECKER_OFF = /@ts-(?:ignore|nocheck)\b/;
const EXPECT_ERROR = /@ts-expect-error\b/;
const LINT_OFF = /\beslint-disable(?:-next-line|-line)?\b(?![^]* -- \S)/;

/** Comments that leave something open, or switch a checker off without saying why. */
export function* commentRule(tree: Tree): Generator<Finding> {
  for (const source of tree.sources) {
    for (const { text, line } of source.comments) {
      if (OPEN_END.test(text)) {
        const message = 'finish it, or write TODO(#<issue>) with an open issue';
        yield finding(source.path, line, 'open-end', message);
      }
      if (CHECKER_OFF.test(text) || (EXPECT_ERROR.test(text) && !isTestFile(source.path))) {
        const message = 'fix the type; a test of types may use @ts-expect-error';
        yield finding(source.path, line, 'checker-off', message);
      }
      if (LINT_OFF.test(text)) {
        const message = 'write the reason on the line: eslint-disable… <rule> -- <reason>';
        yield finding(source.path, line, 'checker-off', message);
      }
    }
  }
}

interface TextBan {
  readonly pattern: RegExp;
  readonly message: string;
}

/** What ties a file to one machine or leads outside the repository. Looked for in every text file. */
const TEXT_BANS: readonly TextBan[] = [
  {
    pattern: /(?<![\w.$}*-])\/(?:work|root|home\/[a-z][\w-]*|Users\/[A-Za-z][\w-]*)\//,
    message: 'a path of one machine: use a path from the root of the repository',
  },
  {
    pattern: /\bregistry\.(?:npmjs|yarnpkg|npmmirror)\b|\bnpm\.pkg\./i,
    message: 'a registry host: the machine configures its registry, the repository names none',
  },
  {
    pattern: /\.\.\/(?:shared)\b/,
    message: 'a reference outside the repository: bring what is needed in, or say it in words',
  },
];

/** Files that other programs write, or that hold foreign data as it came. */
const FOREIGN_FILES = /^(?:LICENSE$|test\/conformance\/data\/)/;

export function* textRule(tree: Tree): Generator<Finding> {
  for (const [file, text] of tree.texts) {
    if (FOREIGN_FILES.test(file)) continue;
    for (const [index, content] of text.split('\n').entries()) {
      for (const { pattern, message } of TEXT_BANS) {
        if (pattern.test(content)) yield finding(file, index + 1, 'text', message);
      }
    }
  }
  yield* packageFileFindings(tree);
}

function* packageFileFindings(tree: Tree): Generator<Finding> {
  for (const file of tree.paths) {
    if (path.posix.basename(file) !== 'package.json' || file === 'package.json') continue;
    const message = "a nested package.json hides the root's imports map: delete it";
    yield finding(file, 1, 'package', message);
  }
  const lockLine = lineWith(tree.texts.get('package-lock.json') ?? '', /"resolved":/);
  if (lockLine > 0) {
    const message = 'the lockfile names hosts: keep omit-lockfile-registry-resolved in .npmrc';
    yield finding('package-lock.json', lockLine, 'package', message);
  }
  const registryLine = lineWith(tree.texts.get('.npmrc') ?? '', /^(?:@[^:]+:)?registry\s*=/);
  if (registryLine > 0) {
    yield finding('.npmrc', registryLine, 'package', 'the machine configures its registry');
  }
}

function lineWith(text: string, pattern: RegExp): number {
  return text.split('\n').findIndex((line) => pattern.test(line)) + 1;
}

/** Markdown: one title, at the top; links that lead somewhere. */
export function* markdownRule(tree: Tree): Generator<Finding> {
  for (const [file, text] of tree.texts) {
    if (!file.endsWith('.md') || FOREIGN_FILES.test(file)) continue;
    const lines = proseLines(text);
    const titles = lines.filter(({ content }) => content.startsWith('# '));
    if (!text.startsWith('# ')) {
      yield finding(file, 1, 'markdown', 'the first line is the title: `# Words`');
    } else if (titles.length > 1) {
      yield finding(file, titles[1]?.line ?? 1, 'markdown', 'one title; sections start with ##');
    }
    for (const { line, content } of lines) {
      for (const [, target = ''] of content.matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g)) {
        if (/^[a-z]+:/.test(target)) continue;
        const resolved = path.posix.join(path.posix.dirname(file), target).replace(/\/$/, '');
        if (isPresent(tree, resolved)) continue;
        yield finding(file, line, 'markdown', `the link leads nowhere: there is no ${resolved}`);
      }
    }
  }
}

/** The lines outside fenced blocks. */
function proseLines(text: string): readonly { readonly line: number; readonly content: string }[] {
  let isFenced = false;
  const lines = [];
  for (const [index, content] of text.split('\n').entries()) {
    if (/^\s*(?:```|~~~)/.test(content)) isFenced = !isFenced;
    else if (!isFenced) lines.push({ line: index + 1, content });
  }
  return lines;
}

function isPresent(tree: Tree, target: string): boolean {
  return tree.texts.has(target) || tree.paths.some((file) => file.startsWith(`${target}/`));
}

/** Each top folder with sources has a README of at most a page. */
export function* readmeRule(tree: Tree): Generator<Finding> {
  const folders = new Set(
    tree.sources
      .map((source) => source.path.split('/'))
      .flatMap((parts) => parts.slice(0, -1)[0] ?? []),
  );
  for (const folder of folders) {
    const file = `${folder}/README.md`;
    const text = tree.texts.get(file);
    if (text === undefined) {
      const message = `write it: what ${folder}/ is, what each part does, at most ${LIMITS.readmeLineCount} lines`;
      yield finding(file, 1, 'readme', message);
    } else if (text.trimEnd().split('\n').length > LIMITS.readmeLineCount) {
      const message = `at most ${LIMITS.readmeLineCount} lines: move the rest to docs/`;
      yield finding(file, LIMITS.readmeLineCount, 'readme', message);
    }
  }
}

function finding(file: string, line: number, rule: string, message: string): Finding {
  return { file, line, rule, message };
}
