/**
 * What the ledger found, when that is a failure, and how it is told. Pure; the counting is in
 * `ledger.ts`.
 */

export interface TriggerReport {
  readonly name: string;
  /** Accepted events that match. */
  readonly expected: number;
  /** Events with at least one successful delivery. */
  readonly delivered: number;
  readonly deadLettered: number;
  readonly parked: number;
  /** Accepted and matching, but neither delivered, dead-lettered, parked nor pending. */
  readonly lost: number;
  /** Arrived, and never sent, or refused with a 4xx. */
  readonly ghost: number;
  /** Arrived with other data or another type than was sent. */
  readonly corrupt: number;
  /** Arrived at a Trigger that does not match. */
  readonly misrouted: number;
  /** Dead letters without the address or the code of the failure. */
  readonly badDeadLetters: number;
  /** Ends (2xx or dead letter) beyond one per acknowledged or unknown send. */
  readonly duplicates: number;
  /** Events whose first successful delivery came after that of a later event of their key. */
  readonly reordered: number;
  /** The most arrivals of one event at the subscriber. */
  readonly attemptsMax: number;
  /** Unknown outcomes that were delivered all the same: allowed, never required. */
  readonly unknownDelivered: number;
}

export interface LedgerReport {
  readonly sent: number;
  readonly accepted: number;
  /** Events whose every send ended without an answer, or with a 5xx or 429. */
  readonly unknown: number;
  /** Of these, the ones with a send that got no answer at all. */
  readonly unanswered: number;
  readonly refused: number;
  readonly triggers: readonly TriggerReport[];
  /** Some of each fault, as `trigger: fault: source id`. */
  readonly examples: readonly string[];
}

/** Bounds of what may be more than 0; a missing one is 0, except `attemptsMax`: unbounded. */
export interface LedgerBounds {
  readonly duplicatesMax?: number;
  readonly reorderedMax?: number;
  /** By Trigger. */
  readonly attemptsMax?: Readonly<Record<string, number>>;
}

const ALWAYS_ZERO = ['lost', 'ghost', 'corrupt', 'misrouted', 'badDeadLetters'] as const;

/** One line for each bound that does not hold; empty when all is well. */
export function ledgerProblems(report: LedgerReport, bounds: LedgerBounds = {}): readonly string[] {
  const problems: string[] = [];
  const check = (name: string, what: string, count: number, max: number): void => {
    if (count > max) problems.push(`${name}: ${what} ${count}, at most ${max}`);
  };
  for (const trigger of report.triggers) {
    for (const fault of ALWAYS_ZERO) check(trigger.name, fault, trigger[fault], 0);
    check(trigger.name, 'duplicates', trigger.duplicates, bounds.duplicatesMax ?? 0);
    check(trigger.name, 'reordered', trigger.reordered, bounds.reorderedMax ?? 0);
    const attemptsMax = bounds.attemptsMax?.[trigger.name] ?? Number.POSITIVE_INFINITY;
    check(trigger.name, 'attempts of one event', trigger.attemptsMax, attemptsMax);
  }
  return problems;
}

/** @throws Error with the whole report, when a bound does not hold. @param context seed, output. */
export function assertLedger(report: LedgerReport, bounds: LedgerBounds = {}, context = ''): void {
  const problems = ledgerProblems(report, bounds);
  if (problems.length === 0) return;
  const text = [...problems, formatLedger(report), ...report.examples, context].join('\n');
  throw new Error(`The ledger does not balance\n${text}`);
}

const COLUMNS = [
  ...['expected', 'delivered', 'deadLettered', 'parked'],
  ...['lost', 'ghost', 'corrupt', 'misrouted', 'badDeadLetters', 'duplicates', 'reordered'],
  ...['attemptsMax', 'unknownDelivered'],
] as readonly (keyof TriggerReport)[];

/** A table, one Trigger a line. */
export function formatLedger(report: LedgerReport): string {
  const { sent, accepted, unknown, unanswered, refused } = report;
  const rows = [
    ['trigger', ...COLUMNS.map(String)],
    ...report.triggers.map((one) => [one.name, ...COLUMNS.map((column) => String(one[column]))]),
  ];
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  const lines = rows.map((row) =>
    row.map((cell, column) => cell.padStart(widths[column] ?? 0)).join('  '),
  );
  return [
    `sent ${sent}, accepted ${accepted}, unknown ${unknown} (${unanswered} without an answer), refused ${refused}`,
    ...lines,
  ].join('\n');
}
