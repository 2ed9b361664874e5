/**
 * The commands of a README as the bootstrap test runs them. Every fenced block with the word `sh` is
 * a terminal: its lines are typed one after another. Other fences (`yaml`, `text`, `console`) are only
 * read by people. After a block, `<!-- expect: words -->` says what some terminal must show then.
 */

export interface ReadmeBlock {
  /** Line of the opening fence, from 1. */
  readonly line: number;
  readonly script: string;
  /** The block does not end by itself; the words that show that it is up. */
  readonly readyPattern: RegExp | null;
  /** Words that must appear in the output of any terminal after this block. */
  readonly expected: readonly string[];
}

/** Commands that run until they are ended, and what shows that they are up. */
const LONG_RUNNING: readonly (readonly [RegExp, RegExp])[] = [
  [/^(?:npm start|.*\bmillrace up)\b/m, /\bready\b/i],
  [/^.*\bmillrace listen\b/m, /\blistening\b/i],
  [/^.*\bmillrace tail\b/m, /\b(?:tailing|following|waiting)\b/i],
];

export function readmeBlocks(markdown: string): readonly ReadmeBlock[] {
  const blocks: { line: number; lines: string[]; expected: string[] }[] = [];
  let fence: { mark: string; lines: string[] | null } | null = null;
  for (const [index, content] of markdown.split('\n').entries()) {
    const [, mark = '', word = ''] = /^(`{3,}|~{3,})\s*(\S*)/.exec(content) ?? [];
    if (fence !== null) {
      if (mark.startsWith(fence.mark) && word === '') fence = null;
      else fence.lines?.push(content);
    } else if (mark !== '') {
      const lines: string[] | null = word === 'sh' ? [] : null;
      if (lines !== null) blocks.push({ line: index + 1, lines, expected: [] });
      fence = { mark, lines };
    } else {
      const [, words] = /^<!-- expect: (.+?) -->$/.exec(content) ?? [];
      if (words !== undefined) blocks.at(-1)?.expected.push(words);
    }
  }
  return blocks.map(({ line, lines, expected }) => {
    const script = lines.join('\n');
    const readyPattern = LONG_RUNNING.find(([command]) => command.test(script))?.[1] ?? null;
    return { line, script, readyPattern, expected };
  });
}

const CLONE = /^git clone (\S*?([^/\s]+?)(?:\.git)?)(?: (\S+))?$/m;

/** The folder that the README's `git clone` makes, or `null` when it has none. */
export function cloneFolder(script: string): string | null {
  const match = CLONE.exec(script);
  return match === null ? null : (match[3] ?? match[2] ?? null);
}

/** The script with the address of the real repository replaced by that of `repository`. */
export function withLocalClone(script: string, repository: string): string {
  const folder = cloneFolder(script);
  return script.replace(CLONE, () => `git clone -q '${repository}' '${folder ?? ''}'`);
}
