/**
 * The catalogue against `millrace up` as a user runs it: the answers, the counters that a scraper sees,
 * and at its end that the subscriber has got the stored events and no other. Rows that need short
 * time-outs, or wait for a Broker that never comes, run against the ingress alone.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../kit/eventually.ts';
import { startMillrace } from '../kit/millrace-process.ts';
import type { MillraceProcess } from '../kit/millrace-process.ts';
import { startSubscriber } from '../kit/subscriber.ts';
import { manifestYaml } from '../kit/trigger-yaml.ts';
import type { BadInputRow } from './bad-input-row.ts';
import { CATALOGUE, rowTitle } from './catalogue.ts';
import { runRow } from './row-run.ts';
import { rawRequest, sendOnce } from '#services/ingress/raw-client';

const LIMIT_MS = 30_000;
/** Of our own rows every so many; those with a number all. */
const OWN_EVERY = 3;

/** Three times as long in percent-encoding, which is more than the subscriber takes as a head. */
const UNDELIVERABLE: readonly string[] = ['a value of 8,192 bytes of UTF-8'];

/** On loopback `up` answers to this machine's own names only: these are right, and not its own. */
const FOREIGN_HOSTS: readonly string[] = ['Host "256"', 'Host "xn--caf-dma.example:80"'];

const ROWS: readonly BadInputRow[] = CATALOGUE.filter((row, at) => {
  const isSlow = row.isHurried || row.answers.some(({ code }) => code === 'INGRESS_BROKER_UNKNOWN');
  const isLeftOut = UNDELIVERABLE.includes(row.name) || FOREIGN_HOSTS.includes(row.name);
  return !isSlow && !isLeftOut && (row.number !== null || at % OWN_EVERY === 0);
});

test('what `millrace up` answers, counts and delivers', async (t) => {
  await using subscriber = await startSubscriber();
  const sink = subscriber.sink('all', { isKeeping: false });
  await using millrace = await startMillrace({
    yaml: manifestYaml(
      [{ name: 'all', namespace: 'ns', broker: 'b', subscriber: sink.url }],
      [{ name: 'b', namespace: 'ns' }],
    ),
  });
  const port = Number(new URL(millrace.eventsUrl).port);
  let stored = 0;
  let parked = 0;
  for (const row of ROWS) {
    await t.test(rowTitle(row), async () => {
      await runRow(port, row);
      const answer = await sendOnce(port, rawRequest({ body: '' }));
      assert.equal(answer?.status, 202, answer?.body);
    });
    stored += row.storedCount + 1;
    if (row.record?.ttl === 0) parked += 1;
  }
  await eventually('every stored event delivered', () => sink.requestCount >= stored - parked, {
    limitMs: LIMIT_MS,
    describe: () => `${sink.requestCount} of ${stored}\n${millrace.output}`,
  });
  assert.equal(await counterOf(millrace, 'millrace_ingress_accepted'), stored);
  assert.equal(await counterOf(millrace, 'millrace_ingress_refused'), refusalsOf(ROWS));
  assert.equal(sink.requestCount, stored - parked, 'no event twice, and none that was refused');
  assert.equal(await millrace.stop(), 0);
});

function refusalsOf(rows: readonly BadInputRow[]): number {
  return rows
    .flatMap(({ answers, silentCode }) => [...answers.map(({ code }) => code), silentCode])
    .filter((code) => code !== null).length;
}

/** The sum over all series of that counter. */
async function counterOf(millrace: MillraceProcess, name: string): Promise<number> {
  const text = await (await fetch(`${millrace.adminUrl}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line.startsWith(name) && !line.startsWith('#'));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}
