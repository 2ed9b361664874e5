/** Files and directories to objects: one faulty document hides no other, and what may be deleted. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { createAddressRules, LAPTOP_PROFILE } from '#lib/security/address-rules';
import { createSystemClock } from '#lib/time/system-clock';
import { formatManifestProblem } from './manifest-problem.ts';
import { ManifestReader } from './manifest-reader.ts';
import type { ManifestReading } from './manifest-reader.ts';
import { DOCUMENT_BYTES_MAX, splitDocuments } from './manifest-text.ts';

const root = await mkdtemp(path.join(os.tmpdir(), 'millrace-manifests-'));
let folder = root;
let count = 0;

beforeEach(async () => {
  folder = path.join(root, String(count++));
  await mkdir(folder);
});
after(() => rm(root, { recursive: true }));

function createReader(): ManifestReader {
  const rules = createAddressRules({ profile: LAPTOP_PROFILE, ownPorts: [9090] });
  return new ManifestReader({ clock: createSystemClock(), rules });
}

function trigger(name: string, spec = ''): string {
  return `apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata:
  name: ${name}
spec:
  broker: default
  subscriber:
    uri: http://127.0.0.1:8081/
${spec}`;
}

async function read(files: Readonly<Record<string, string | Buffer>>): Promise<ManifestReading> {
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(folder, name), text);
  return createReader().read([folder]);
}

function linesOf(reading: ManifestReading): readonly string[] {
  return reading.problems.map((one) =>
    formatManifestProblem(one).replaceAll(`${folder}${path.sep}`, ''),
  );
}

test('documents of several files, JSON and a List; hidden files and others are left out', async () => {
  const list = `apiVersion: v1\nkind: List\nitems:\n- ${trigger('c').replaceAll('\n', '\n  ')}`;
  const json = JSON.stringify({
    apiVersion: 'eventing.knative.dev/v1',
    kind: 'Broker',
    metadata: { name: 'b' },
  });
  const reading = await read({
    'a.yaml': `# comment only\n---\n${trigger('a')}---\n\n--- \n${trigger('b')}...\n`,
    'b.yml': list,
    'c.json': json,
    '.#a.yaml': 'nonsense: [',
    'notes.txt': 'nonsense: [',
  });
  assert.deepEqual(linesOf(reading), []);
  assert.deepEqual(
    [...reading.objects.keys()],
    ['Trigger default/a', 'Trigger default/b', 'Trigger default/c', 'Broker default/b'],
  );
});

test('a faulty document is named with its place; the others are in force', async () => {
  const reading = await read({
    'a.yaml': `${trigger('a')}---\n${trigger('b', '  filter:\n    attributes:\n      type: on\n')}`,
    'b.yaml': trigger('c').replace(
      'uri: http://127.0.0.1:8081/',
      'ref: {kind: Service, apiVersion: v1, name: s}',
    ),
  });
  assert.deepEqual([...reading.objects.keys()], ['Trigger default/a']);
  assert.deepEqual([...reading.faultyTitles], ['Trigger default/b', 'Trigger default/c']);
  assert.deepEqual([...reading.unreadableOrigins], []);
  assert.deepEqual(linesOf(reading), [
    'a.yaml:20:13 Trigger default/b: spec.filter.attributes.type: expected text, got a boolean: put it in quotes (YAML reads an unquoted on as true; put it in quotes: "on")',
    'b.yaml:8:5 Trigger default/c: spec.subscriber.ref: a ref cannot be resolved: there is no API server here yet to look up Service "s" (write the address instead, as uri: http://127.0.0.1:8081/)',
  ]);
});

const UNREADABLE: readonly (readonly [string, string | Buffer, RegExp])[] = [
  ['broken YAML', 'a: [', /^x\.yaml:1:\d+ not YAML/],
  ['an object without name', trigger('""'), /metadata\.name: missing field/],
  [
    'a misspelt kind',
    trigger('a').replace('Trigger', 'Triger'),
    /unknown kind "Triger" \(did you mean "Trigger"\?\)/,
  ],
  [
    'a misspelt group',
    trigger('a').replace('/v1', '/v1beta1'),
    /did you mean "eventing\.knative\.dev\/v1"\?/,
  ],
  ['no apiVersion', 'kind: Trigger\n', /apiVersion: missing field/],
  ['text', 'hello\n', /expected an object with apiVersion and kind, got the text "hello"/],
  ['UTF-16', Buffer.from('\ufeffa: b', 'utf16le'), /x\.yaml is UTF-16/],
  ['Latin-1', Buffer.from('a: b\nc: \xe4', 'latin1'), /x\.yaml is not UTF-8 \(line 2\)/],
  ['a document of 10 MB', `a: "${'x'.repeat(10_000_000)}"`, /a document of 10000005 bytes/],
];

for (const [title, text, expected] of UNREADABLE) {
  test(`nothing that came from a file is deleted while it holds ${title}`, async () => {
    const reading = await read({ 'x.yaml': text, 'y.yaml': trigger('good') });
    assert.match(linesOf(reading)[0] ?? '', expected);
    assert.deepEqual([...reading.objects.keys()], ['Trigger default/good']);
    assert.deepEqual([...reading.unreadableOrigins], [path.join(folder, 'x.yaml')]);
  });
}

test('an object of another kind is refused and holds nothing back', async () => {
  const reading = await read({
    'x.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n',
  });
  assert.deepEqual(linesOf(reading), [
    'x.yaml:2:7 kind: ConfigMap of v1 is not served here (served here: Broker and Trigger of eventing.knative.dev/v1)',
  ]);
  assert.deepEqual([...reading.unreadableOrigins], []);
});

test('the first of two definitions is in force', async () => {
  const reading = await read({ 'a.yaml': trigger('a'), 'b.yaml': trigger('a') });
  assert.equal(reading.objects.get('Trigger default/a')?.origin, path.join(folder, 'a.yaml'));
  assert.match(
    linesOf(reading)[0] ?? '',
    /^b\.yaml:1:1 Trigger default\/a: defined twice: .*a\.yaml:1 is in force/,
  );
});

test('an address that must not be called is refused at once', async () => {
  const at = (uri: string): string => trigger('a').replace('http://127.0.0.1:8081/', uri);
  const reading = await read({
    'a.yaml': at('http://169.254.169.254/latest/meta-data/'),
    'b.yaml': at('http://127.0.0.1:9090/metrics'),
  });
  const [metadata, own] = linesOf(reading);
  assert.match(metadata ?? '', /^a\.yaml:8:10 .*spec\.subscriber\.uri: invalid value: .*169\.254/);
  assert.match(own ?? '', /Millrace's own admin or API port/);
});

test('a file given twice counts once; one that does not exist allows no deletion', async () => {
  const file = path.join(folder, 'a.yaml');
  await writeFile(file, trigger('a'));
  const reading = await createReader().read([file, folder, `${folder}/no`]);
  assert.equal(reading.objects.size, 1);
  assert.equal(reading.isListingComplete, false);
  assert.deepEqual(linesOf(reading), [`no does not exist`]);
});

test('an object has at most 1.5 MiB, both sides', async () => {
  const padding = DOCUMENT_BYTES_MAX - Buffer.byteLength(trigger('a')) - '#\n'.length;
  const text = `${trigger('a')}#${'x'.repeat(padding)}\n`;
  assert.equal((await read({ 'a.yaml': text })).objects.size, 1);
  assert.equal((await read({ 'a.yaml': `${text}#` })).objects.size, 0);
});

test('lines are counted over documents', () => {
  const documents = splitDocuments('a: 1\n---\nb: 1\n\n---\n# c\n--- {d: 1}\n');
  assert.deepEqual(
    documents.map((one) => [one.firstLine, one.text.trim()]),
    [
      [1, 'a: 1'],
      [2, 'b: 1'],
      [7, '{d: 1}'],
    ],
  );
  assert.equal(splitDocuments('a: |\n  ---\n  b\n---x: 1\n').length, 1);
});
