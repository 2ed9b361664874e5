/**
 * Who may import whom (the table in `structure.ts`), how an import is written, which npm package is
 * used where, and files that nobody imports. Lazy `import()` counts as an import.
 */
import path from 'node:path';
import ts from 'typescript';
import {
  BANS,
  ENTRY_FILES,
  FOLDER_RULES,
  LIB_TOPICS,
  MAIN_MAY_IMPORT,
  PACKAGE_FOLDERS,
  TEST_PACKAGES,
} from './structure.ts';
import type { FolderRule } from './structure.ts';
import { isInFolder, isTestFile, resolveSpecifier, walk } from './source-tree.ts';
import type { Finding, ImportSite, SourceFile, Tree } from './source-tree.ts';

/** The unit of a file: the folder of the table that it belongs to, such as `lib/time` or `cli`. */
export function unitOf(file: string): string | null {
  const parts = file.split('/');
  if (parts.length < 2) return null;
  const top = parts[0] ?? '';
  const isSplit = FOLDER_RULES.some((rule) => rule.folder.startsWith(`${top}/`));
  return isSplit && parts.length > 2 ? `${top}/${parts[1] ?? ''}` : top;
}

export function* importRules(tree: Tree): Generator<Finding> {
  for (const source of tree.sources) {
    for (const site of source.imports) {
      const message = importProblem(tree, source, site);
      if (message !== null) yield { file: source.path, line: site.line, rule: 'import', message };
    }
  }
}

function importProblem(tree: Tree, source: SourceFile, site: ImportSite): string | null {
  const { specifier } = site;
  if (specifier.startsWith('node:')) return nodeModuleProblem(source.path, specifier);
  const target = resolveSpecifier(source.path, specifier);
  if (target === null) return packageProblem(source.path, specifier);
  const spelling = spellingProblem(source.path, specifier, target);
  if (spelling !== null) return spelling;
  if (!tree.texts.has(target)) return `"${specifier}" names no file; there is no ${target}`;
  return folderProblem(source.path, target);
}

/** Inside a unit relative with suffix; across units by `#`, without. */
function spellingProblem(file: string, specifier: string, target: string): string | null {
  const isRelative = specifier.startsWith('.');
  if (isRelative && !/\.(?:ts|json)$/.test(specifier)) {
    return `write the suffix: "${specifier}.ts"`;
  }
  if (!isRelative && specifier.endsWith('.ts')) {
    return `write "${specifier.slice(0, -3)}": a # import has no suffix`;
  }
  const unit = unitOf(target);
  const isRegistry = unit !== null && unit.startsWith(`${unitOf(file) ?? ''}/`);
  if (isRelative && unit !== unitOf(file) && !isRegistry) {
    return `write "#${target.replace(/\.ts$/, '')}": a relative import stays inside ${unitOf(file) ?? 'its folder'}`;
  }
  return null;
}

function folderProblem(file: string, target: string): string | null {
  const from = unitOf(file);
  const to = unitOf(target);
  if (path.posix.basename(target) === 'main.ts') {
    return `nothing imports a main.ts; import the create… function that ${target} calls`;
  }
  if (from === null || to === null || from === to) return null;
  const rule = ruleFor(from);
  if (rule === null)
    return `${from} is not in the table of tools/tidy/structure.ts: add a row there`;
  if (to === 'test') {
    const isKit = isInFolder(target, 'test/kit') && isTestFile(file);
    return isKit ? null : 'nothing imports test/ (tests beside their source may use test/kit)';
  }
  if (from.startsWith('lib/') && to.startsWith('lib/')) return rankProblem(from, to);
  const allowed = [...rule.mayImport, ...(isServiceMain(file) ? MAIN_MAY_IMPORT : [])];
  if (allowed.some((pattern) => isUnitMatch(pattern, to))) return null;
  return `${from} may not import ${to}: ${rule.reason} (allowed: ${allowed.join(' ') || 'nothing'})`;
}

function isServiceMain(file: string): boolean {
  return isInFolder(file, 'services') && path.posix.basename(file) === 'main.ts';
}

function ruleFor(unit: string): FolderRule | null {
  return FOLDER_RULES.find((rule) => isUnitMatch(rule.folder, unit)) ?? null;
}

function isUnitMatch(pattern: string, unit: string): boolean {
  if (!pattern.endsWith('/*')) return pattern === unit;
  return unit.startsWith(pattern.slice(0, -1)) && unit.split('/').length === 2;
}

function rankProblem(from: string, to: string): string | null {
  const fromRank = LIB_TOPICS.indexOf(from.slice('lib/'.length));
  const toRank = LIB_TOPICS.indexOf(to.slice('lib/'.length));
  for (const [topic, rank] of [
    [from, fromRank],
    [to, toRank],
  ] as const) {
    if (rank < 0) return `${topic} is no lib topic: give it a rank in tools/tidy/structure.ts`;
  }
  if (toRank < fromRank) return null;
  return `${from} may not import ${to}: it ranks above it (order: ${LIB_TOPICS.join(' ')})`;
}

function nodeModuleProblem(file: string, specifier: string): string | null {
  const ban = BANS.find(({ name }) => name === specifier);
  if (ban !== undefined && !ban.allowedIn.some((folder) => isInFolder(file, folder))) {
    return `${specifier} is banned here: ${ban.insteadUse}`;
  }
  const isTest = isTestFile(file) || isInFolder(file, 'test');
  if (!isTest && specifier.startsWith('node:test')) return 'node:test is for tests';
  return null;
}

function packageProblem(file: string, specifier: string): string | null {
  const parts = specifier.split('/');
  const name = specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? '');
  if (TEST_PACKAGES.includes(name)) {
    const isTest = isTestFile(file) || isInFolder(file, 'test');
    return isTest ? null : `${name} is for tests only`;
  }
  const folders = Object.hasOwn(PACKAGE_FOLDERS, name) ? (PACKAGE_FOLDERS[name] ?? []) : null;
  if (folders === null) {
    return `the package "${name}" is not in PACKAGE_FOLDERS (node: modules are written node:${name}); a new dependency needs a line there and in docs/dependencies.md`;
  }
  if (folders.some((folder) => isInFolder(file, folder))) return null;
  return `the package "${name}" is for ${folders.join(', ')}; use what those folders export`;
}

/**
 * Files that no import and no path in a string leads to, or only those of tests. A file that is meant
 * for tests says so in its opening comment.
 */
export function* deadFileRule(tree: Tree): Generator<Finding> {
  const usedByTests = new Set<string>();
  const used = new Set<string>();
  for (const source of tree.sources) {
    const isTest = isTestFile(source.path) || isInFolder(source.path, 'test');
    for (const target of referencedFiles(source)) {
      if (target !== source.path) (isTest ? usedByTests : used).add(target);
    }
  }
  for (const source of tree.sources) {
    const file = source.path;
    if (used.has(file) || ENTRY_FILES.some((pattern) => pattern.test(file))) continue;
    const isForTests =
      isInFolder(file, 'test') || /\btests?\b/i.test(source.comments[0]?.text ?? '');
    if (usedByTests.has(file) && isForTests) continue;
    const message = usedByTests.has(file)
      ? 'only tests use this file: wire it in, delete it, or say in its opening comment that it is for tests'
      : 'nothing imports this file: delete it, or wire it in';
    yield { file, line: 1, rule: 'dead-file', message };
  }
}

/** What a file imports, and what it starts by path (`new URL('./worker.ts', …)`, `'cli/main.ts'`). */
function* referencedFiles(source: SourceFile): Generator<string> {
  for (const { specifier } of source.imports) {
    const target = resolveSpecifier(source.path, specifier);
    if (target !== null) yield target;
  }
  const literals: string[] = [];
  walk(source.ast, (node) => {
    if (ts.isStringLiteralLike(node) && node.text.endsWith('.ts')) literals.push(node.text);
  });
  for (const literal of literals) {
    yield path.posix.normalize(literal);
    yield path.posix.join(path.posix.dirname(source.path), literal);
  }
}
