/**
 * What a conformance kit is to `main.ts`: a name and a run that counts. Each kit has a file of its own
 * here, and a test beside it that fails on the first case that is not passed.
 */

export interface KitFailure {
  readonly caseName: string;
  readonly reason: string;
}

export interface KitResult {
  readonly total: number;
  readonly failures: readonly KitFailure[];
}

export interface ConformanceKit {
  readonly name: string;
  readonly run: () => Promise<KitResult>;
}

export function summaryLine(kit: ConformanceKit, { total, failures }: KitResult): string {
  return `${kit.name}: ${total - failures.length}/${total} passed`;
}
