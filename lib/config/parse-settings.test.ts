/** Precedence, all problems at once, unknown names, secrets, frozen results. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMeshError } from '#lib/errors/mesh-error';
import { parseSettings, requireSettings } from './parse-settings.ts';
import type { SettingsInput } from './parse-settings.ts';
import { defineSettings } from './settings.ts';

const base = { description: 'A setting.', source: 'test' };

const PROGRAM = defineSettings('', {
  dataDir: { ...base, type: 'string', default: null },
  roles: { ...base, type: 'list', default: ['all'], itemCountMax: 3 },
});
const INGRESS = defineSettings('ingress', {
  bodyBytesMax: { ...base, type: 'bytes', default: 1024, min: 1, max: 4096 },
  drainMs: { ...base, type: 'duration', default: 5000, min: 0, max: 60_000 },
  mode: { ...base, type: 'choice', choices: ['strict', 'lenient'], default: 'strict' },
  token: { ...base, type: 'string', default: '', isSecret: true },
});
const sections = { program: PROGRAM, ingress: INGRESS };

function parsed(input: Partial<SettingsInput> = {}) {
  return requireSettings(sections, { environment: {}, ...input });
}

function problems(input: Partial<SettingsInput>): readonly string[] {
  const result = parseSettings(sections, { environment: {}, ...input });
  return result.kind === 'invalid' ? result.problems : [];
}

test('nothing given is the defaults, and they have the declared types', () => {
  const { values } = parsed();
  const dataDir: string | null = values.program.dataDir;
  const bodyBytesMax: number = values.ingress.bodyBytesMax;
  const mode: 'strict' | 'lenient' = values.ingress.mode;
  assert.deepEqual([dataDir, bodyBytesMax, mode], [null, 1024, 'strict']);
  assert.deepEqual(values.program.roles, ['all']);
});

test('a flag beats a variable, a variable beats the default', () => {
  const environment = { MILLRACE_INGRESS_DRAIN_MS: '7s', MILLRACE_INGRESS_BODY_BYTES_MAX: '2Ki' };
  const { values, report } = parsed({ environment, flags: { 'ingress.drainMs': '9s' } });
  assert.equal(values.ingress.drainMs, 9000);
  assert.equal(values.ingress.bodyBytesMax, 2048);
  assert.deepEqual(
    report.map(({ path, origin }) => `${path} ${origin}`),
    [
      'dataDir default',
      'roles default',
      'ingress.bodyBytesMax environment',
      'ingress.drainMs flag',
      'ingress.mode default',
      'ingress.token default',
    ],
  );
});

test('an empty variable is not set, an empty flag is', () => {
  assert.equal(
    parsed({ environment: { MILLRACE_INGRESS_MODE: '' } }).values.ingress.mode,
    'strict',
  );
  assert.deepEqual(problems({ flags: { 'ingress.mode': '' } }), [
    'Cannot use --ingress-mode="": must be one of strict, lenient (ingress.mode)',
  ]);
});

test('all problems come at once, by the name that the person used', () => {
  const found = problems({
    environment: { MILLRACE_INGRESS_BODY_BYTES_MAX: '5000', MILLRACE_INGRESS_DRAINMS: '1s' },
    flags: { 'ingress.drainMs': 'soon', 'ingress.mod': 'strict' },
  });
  assert.deepEqual(found, [
    'Cannot use MILLRACE_INGRESS_BODY_BYTES_MAX="5000": must be a size such as 1048576, 64KiB, 1GiB from 1 to 4KiB (ingress.bodyBytesMax)',
    'Cannot use --ingress-drain-ms="soon": must be a duration such as 250ms, 10s, 1h30m from 0 to 1m (ingress.drainMs)',
    'Cannot set ingress.mod: no such setting, did you mean ingress.mode',
    'Cannot use MILLRACE_INGRESS_DRAINMS: no such variable, did you mean MILLRACE_INGRESS_DRAIN_MS',
  ]);
});

test('a name near nothing gets no suggestion, and other variables are not ours', () => {
  const environment = { MILLRACE_XYZZY: '1', PATH: '/bin', MILLRACED: 'x' };
  assert.deepEqual(problems({ environment }), ['Cannot use MILLRACE_XYZZY: no such variable']);
});

test("another process's variables are known and not read", () => {
  const other = defineSettings('dispatcher', {
    windowCount: { ...base, type: 'integer', default: 1, min: 1, max: 9 },
  });
  const environment = { MILLRACE_DISPATCHER_WINDOW_COUNT: 'not a number' };
  assert.deepEqual(problems({ environment, alsoKnown: [other] }), []);
  assert.equal(problems({ environment }).length, 1);
});

test('a secret shows in no report and no problem', () => {
  const environment = { MILLRACE_INGRESS_TOKEN: 'hunter2' };
  const { values, report } = parsed({ environment });
  assert.equal(values.ingress.token, 'hunter2');
  assert.ok(!JSON.stringify(report).includes('hunter2'));
  const section = defineSettings('x', {
    pin: { ...base, type: 'integer', default: 1, min: 1, max: 9, isSecret: true },
  });
  const result = parseSettings({ x: section }, { environment: { MILLRACE_X_PIN: 'hunter2' } });
  assert.ok(result.kind === 'invalid' && !JSON.stringify(result).includes('hunter2'));
});

test('a long value is cut in a problem', () => {
  const [line] = problems({ flags: { 'ingress.mode': 'x'.repeat(10_000) } });
  assert.ok(line !== undefined && line.length < 250);
});

test('the result is frozen, all the way', () => {
  const { values } = parsed({ environment: { MILLRACE_ROLES: 'a,b' } });
  assert.ok(Object.isFrozen(values) && Object.isFrozen(values.ingress));
  assert.ok(Object.isFrozen(values.program.roles));
});

test('requireSettings throws one fault with every problem in it', () => {
  const environment = { MILLRACE_INGRESS_MODE: 'x', MILLRACE_INGRESS_DRAIN_MS: 'x' };
  assert.throws(
    () => requireSettings(sections, { environment }),
    (error) =>
      isMeshError(error, 'CONFIG_INVALID') &&
      /2 problems\n {2}Cannot[^\n]+\n {2}Cannot[^\n]+$/.test(error.message),
  );
});
