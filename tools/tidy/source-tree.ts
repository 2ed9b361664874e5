/**
 * The files that tidy looks at, and each TypeScript file parsed once. Rules get a `Tree` and return
 * findings; they do no I/O, so that their tests give them a tree of a few lines.
 */
import path from 'node:path';
import ts from 'typescript';

export interface Finding {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly rule: string;
  /** What is wrong and what to do instead, in one line. */
  readonly message: string;
}

export interface Comment {
  readonly line: number;
  readonly text: string;
}

export interface ImportSite {
  readonly specifier: string;
  readonly line: number;
}

export interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly ast: ts.SourceFile;
  /** Static, dynamic and re-exporting imports with a literal specifier, and `import('x')` types. */
  readonly imports: readonly ImportSite[];
  readonly comments: readonly Comment[];
}

export interface Tree {
  /** Every file of the repository, from the root, with `/`; sorted. */
  readonly paths: readonly string[];
  /** The text of each text file by its path. */
  readonly texts: ReadonlyMap<string, string>;
  /** The TypeScript files. */
  readonly sources: readonly SourceFile[];
}

export type Rule = (tree: Tree) => Iterable<Finding>;

/** Makes a tree of file texts; files ending in `.ts` are parsed. */
export function createTree(texts: ReadonlyMap<string, string>): Tree {
  const paths = [...texts.keys()].sort();
  const sources: SourceFile[] = [];
  for (const file of paths) {
    if (file.endsWith('.ts')) sources.push(parseSource(file, texts.get(file) ?? ''));
  }
  return { paths, texts, sources };
}

export function parseSource(file: string, text: string): SourceFile {
  const ast = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true, ts.ScriptKind.TS);
  return { path: file, text, ast, imports: findImports(ast), comments: findComments(ast) };
}

export function lineOf(ast: ts.SourceFile, position: number): number {
  return ast.getLineAndCharacterOfPosition(position).line + 1;
}

/** Calls `visit` for every node below `node`, parents first. */
export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  ts.forEachChild(node, (child) => {
    visit(child);
    walk(child, visit);
  });
}

/** True for `*.test.ts`. */
export function isTestFile(file: string): boolean {
  return file.endsWith('.test.ts');
}

/** True when `file` lies in `folder` or below it. */
export function isInFolder(file: string, folder: string): boolean {
  return file.startsWith(`${folder}/`);
}

/** The repository path that a specifier names, without a look at the disk; `null` for a package. */
export function resolveSpecifier(fromFile: string, specifier: string): string | null {
  if (specifier.startsWith('#')) return `${specifier.slice(1)}.ts`;
  if (specifier.startsWith('.')) return path.posix.join(path.posix.dirname(fromFile), specifier);
  return null;
}

function findImports(ast: ts.SourceFile): readonly ImportSite[] {
  const imports: ImportSite[] = [];
  const add = (literal: ts.Node | undefined): void => {
    if (literal === undefined || !ts.isStringLiteralLike(literal)) return;
    imports.push({ specifier: literal.text, line: lineOf(ast, literal.getStart(ast)) });
  };
  walk(ast, (node) => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
      add(node.moduleSpecifier);
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add(node.arguments[0]);
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      add(node.argument.literal);
    }
  });
  return imports;
}

/** All comments, in order. Found token by token: a text search would see comments in strings. */
function findComments(ast: ts.SourceFile): readonly Comment[] {
  const text = ast.text;
  const found = new Map<number, Comment>();
  const take = (ranges: readonly ts.CommentRange[] | undefined): void => {
    for (const { pos, end } of ranges ?? []) {
      found.set(pos, { line: lineOf(ast, pos), text: text.slice(pos, end) });
    }
  };
  const visit = (node: ts.Node): void => {
    const children = node.getChildren(ast);
    if (children.length === 0 || node.kind === ts.SyntaxKind.JSDoc) {
      if (node.kind !== ts.SyntaxKind.JSDoc) {
        take(ts.getLeadingCommentRanges(text, node.getFullStart()));
        take(ts.getTrailingCommentRanges(text, node.getEnd()));
      }
      return;
    }
    for (const child of children) visit(child);
  };
  visit(ast);
  return [...found.entries()].sort(([left], [right]) => left - right).map(([, comment]) => comment);
}
