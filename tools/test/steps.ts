/**
 * What `npm test` runs, as a table. `npm run check` is the steps marked as checks; a step can be run
 * alone by its name (`npm test -- unit`). A new suite is one row here and one row in test/README.md.
 */

/** A program that passes or fails as a whole; arguments for the present Node. */
export interface ProgramStep {
  readonly kind: 'program';
  readonly name: string;
  readonly isCheck: boolean;
  readonly nodeArguments: readonly string[];
  /** What to do when it fails, in one line. */
  readonly advice: string;
}

/** Test files for `node:test`. */
export interface SuiteStep {
  readonly kind: 'suite';
  readonly name: string;
  readonly isCheck: boolean;
  readonly globs: readonly string[];
  /** `none`: all files in one process (fast, no sockets or processes of their own). */
  readonly isolation: 'none' | 'process';
  /** Files at a time, for isolated suites. 1 where tests measure time or load the machine. */
  readonly concurrency: number;
  /** The whole suite is ended after this time: something hangs. */
  readonly limitMs: number;
  readonly needs: string;
  /** What the tests print is part of the result: a score, a table. */
  readonly isOutputShown?: true;
}

export type Step = ProgramStep | SuiteStep;

const MINUTE_MS = 60_000;

export const STEPS: readonly Step[] = [
  {
    kind: 'program',
    name: 'format',
    isCheck: true,
    nodeArguments: ['node_modules/@biomejs/biome/bin/biome', 'check', '--error-on-warnings', '.'],
    advice: 'npm run format',
  },
  {
    kind: 'program',
    name: 'tidy',
    isCheck: true,
    nodeArguments: ['tools/tidy/main.ts'],
    advice: 'each line above says what to do; the tables are in tools/tidy/structure.ts',
  },
  {
    kind: 'program',
    name: 'types',
    isCheck: true,
    nodeArguments: ['node_modules/typescript7/bin/tsc', '-p', 'tsconfig.json'],
    advice: 'fix the types; a cast is not a fix',
  },
  {
    kind: 'program',
    name: 'lint',
    isCheck: true,
    nodeArguments: ['node_modules/eslint/bin/eslint.js', '--max-warnings=0', '.'],
    advice: 'fix it, or disable the rule on the line with a reason',
  },
  {
    kind: 'program',
    name: 'docs',
    isCheck: true,
    nodeArguments: ['tools/docs/main.ts', '--check'],
    advice: 'npm run docs',
  },
  {
    kind: 'suite',
    name: 'unit',
    isCheck: true,
    globs: ['{lib,api,kube,channels,services,controllers,apiserver,local,cli,tools}/**/*.test.ts'],
    isolation: 'none',
    concurrency: 1,
    limitMs: 5 * MINUTE_MS,
    needs: 'nothing',
  },
  {
    kind: 'suite',
    name: 'contract',
    isCheck: false,
    globs: ['test/contract/**/*.test.ts', 'test/kit/**/*.test.ts'],
    isolation: 'process',
    concurrency: 2,
    limitMs: 10 * MINUTE_MS,
    needs: 'a disk for the embedded driver',
  },
  {
    kind: 'suite',
    name: 'conformance',
    isCheck: false,
    globs: ['test/conformance/**/*.test.ts'],
    isolation: 'process',
    concurrency: 2,
    limitMs: 10 * MINUTE_MS,
    needs: 'nothing; the kits are in the repository',
    isOutputShown: true,
  },
  {
    kind: 'suite',
    name: 'bad-input',
    isCheck: false,
    globs: ['test/bad-input/**/*.test.ts'],
    isolation: 'process',
    concurrency: 2,
    limitMs: 10 * MINUTE_MS,
    needs: 'loopback ports, a disk',
  },
  {
    kind: 'suite',
    name: 'fuzz',
    isCheck: false,
    globs: ['test/fuzz/**/*.test.ts'],
    isolation: 'process',
    concurrency: 1,
    limitMs: 5 * MINUTE_MS,
    needs: 'loopback ports',
  },
  {
    kind: 'suite',
    name: 'integration',
    isCheck: false,
    globs: ['test/integration/**/*.test.ts'],
    isolation: 'process',
    concurrency: 2,
    limitMs: 20 * MINUTE_MS,
    needs: 'loopback ports, a disk',
  },
  {
    kind: 'suite',
    name: 'fault',
    isCheck: false,
    globs: ['test/fault/**/*.test.ts'],
    isolation: 'process',
    concurrency: 1,
    limitMs: 20 * MINUTE_MS,
    needs: 'loopback ports, a disk; kills the processes that it starts',
  },
  {
    kind: 'suite',
    name: 'bootstrap',
    isCheck: false,
    globs: ['test/bootstrap/**/*.test.ts'],
    isolation: 'process',
    concurrency: 1,
    limitMs: 10 * MINUTE_MS,
    needs: 'git, npm and the npm registry',
  },
];

/**
 * The steps that `names` ask for, in table order; none means all, `check` means the checks.
 * Unknown names come back so that the caller can say which exist.
 */
export function selectSteps(
  steps: readonly Step[],
  names: readonly string[],
): { readonly selected: readonly Step[]; readonly unknown: readonly string[] } {
  const known = new Set(steps.map((step) => step.name));
  const unknown = names.filter((name) => name !== 'check' && !known.has(name));
  const selected = steps.filter(
    (step) =>
      names.length === 0 || names.includes(step.name) || (names.includes('check') && step.isCheck),
  );
  return { selected, unknown };
}

/** True when what the step prints is wanted even if all is well. */
export function showsOutput(step: Step): boolean {
  return step.kind === 'suite' && step.isOutputShown === true;
}
