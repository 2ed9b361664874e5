/**
 * `millrace up`: everything on one machine. The control side runs here, the event side in children; this
 * file builds the graph, starts it in order, waits for a signal, ends it in order. Read it to see what
 * runs. Invariant: whatever this process does, no child survives it.
 *
 *   lock data → admin listener → children (store, ingress) → last objects → files → ready → greeting
 */
import { EMBEDDED_SETTINGS } from '#channels/index';
import { childEnvironment } from '#lib/config/environment';
import type { Environment } from '#lib/config/environment';
import { requireSettings } from '#lib/config/parse-settings';
import { createSystemIds } from '#lib/ids/ids';
import { createAddressRules, LAPTOP_PROFILE } from '#lib/security/address-rules';
import type { Logger } from '#lib/telemetry/log';
import type { Clock } from '#lib/time/clock';
import { INGRESS_SETTINGS } from '#services/ingress/ingress-settings';
import { assert } from '#lib/assert/assert';
import { startAdminListener } from './admin-listener.ts';
import { ControlSide } from './control-side.ts';
import { createOperations } from './control/control-operations.ts';
import { startControlServer } from './control/control-server.ts';
import { TailHub } from './control/tail-hub.ts';
import { dataDirectoryAt, prepareDataDirectory } from './data/data-directory.ts';
import { takeDataLock } from './data/data-lock.ts';
import { EVENT_ROLES } from './event-side.ts';
import type { EventSideSettings, ListenAddress } from './event-side-settings.ts';
import { greetingLines } from './greeting.ts';
import { localError } from './local-errors.ts';
import { createStderrLog } from './log-lines.ts';
import { ManifestReader } from './manifests/manifest-reader.ts';
import { listManifestFiles } from './manifests/manifest-text.ts';
import { ManifestWatcher } from './manifests/manifest-watcher.ts';
import { ObjectStateFile } from './objects/object-state.ts';
import { EventGroup } from './supervision/event-group.ts';
import { createFork } from './supervision/fork-process.ts';
import { parseListenAddress, UP_SETTINGS } from './up-settings.ts';
import { readVersion } from './version.ts';

/** What the command line gives. */
export interface UpRequest {
  /** `-f`, in order. */
  readonly files: readonly string[];
  /** Texts by setting path, see `up-settings.ts`. */
  readonly flags: Readonly<Record<string, string>>;
  /** How the command is called, for the lines that say what to type next. */
  readonly command: string;
}

/** The process that `up` runs in. */
export interface UpHost {
  readonly clock: Clock;
  readonly environment: Environment;
  readonly workingDirectory: string;
  readonly pid: number;
  readonly isTerminal: boolean;
  /** One line for people, on standard output. */
  say(line: string): void;
  /** Calls `listener` for SIGINT, SIGTERM and SIGHUP. */
  onSignal(listener: () => void): void;
}

const SETTINGS = { up: UP_SETTINGS, ingress: INGRESS_SETTINGS, embedded: EMBEDDED_SETTINGS };

/** The exit code: 0 after a clean end. @throws MeshError when it cannot start. */
export async function runUp(host: UpHost, request: UpRequest): Promise<number> {
  const { clock } = host;
  const startedMs = clock.monotonicMs();
  const { values, report } = requireSettings(SETTINGS, { ...host, flags: request.flags });
  const { up } = values;
  const format = up.logFormat === 'auto' ? (host.isTerminal ? 'text' : 'json') : up.logFormat;
  const log = createStderrLog({ clock }, { name: 'millrace.up', level: up.logLevel, format });
  log.debug('settings', Object.fromEntries(report.map(({ path, value }) => [path, value])));
  await requireFiles(request.files);

  const directory = dataDirectoryAt(up.dataDir, host.environment, host.workingDirectory);
  await prepareDataDirectory(directory);
  await using ends = new AsyncDisposableStack();
  const lock = await takeDataLock(directory, clock);
  ends.defer(() => lock.release());

  const listen = listenAddress(up.listen);
  // Both sides know the routes through `control`, which is made last.
  const parts: { control: ControlSide | null; group: EventGroup | null } = {
    control: null,
    group: null,
  };
  const readinessReasons = (): readonly string[] => reasonsOf(parts.control, parts.group);
  const admin = await startAdminListener(
    {
      readinessReasons,
      metrics: async () =>
        (await parts.group?.requestAll('metrics', null))?.flatMap(({ result }) => result) ?? [],
    },
    listenAddress(up.adminListen),
  );
  ends.defer(() => admin.close());

  const rules = createAddressRules({ profile: LAPTOP_PROFILE, ownPorts: [admin.port] });
  const settings: EventSideSettings = {
    storeDir: directory.storeDir,
    driver: up.store,
    listen,
    ownPorts: [admin.port],
    logLevel: up.logLevel,
    logFormat: format,
    ingress: values.ingress,
    embedded: values.embedded,
  };
  const processes = up.roles === 'fused' ? [EVENT_ROLES] : EVENT_ROLES.map((role) => [role]);
  const fork = createFork(childEnvironment(host.environment));
  const group = new EventGroup(
    { clock, log: log.child('supervisor'), fork },
    { processes, settings },
  );
  parts.group = group;
  ends.defer(() => group.stop(0));
  // The last resort: an exit on any path, a bug included, leaves no child behind.
  process.on('exit', () => group.kill());

  const control = new ControlSide(
    {
      ...{ clock, ids: createSystemIds(), log: log.child('control'), group, rules },
      reader: new ManifestReader({ clock, rules }),
      state: new ObjectStateFile(directory.stateDir, log.child('state')),
    },
    request.files,
  );
  parts.control = control;
  const stop = stopOnSignal(host, group, log);

  await Promise.race([group.start(), stop.asked]);
  const tail = new TailHub({
    routes: () => control.routes,
    setTail: (isOn) => group.setTail(isOn),
  });
  group.listen({ tail: (entries, skippedCount) => tail.take(entries, skippedCount) });
  const operations = createOperations({
    ...{ control, group, clock, readinessReasons },
    facts: {
      version: readVersion(),
      pid: host.pid,
      startedMs: clock.wallMs(),
      adminUrl: admin.url,
      dataDir: directory.root,
      files: request.files,
    },
  });
  const server = await startControlServer(
    { operations, tail, log: log.child('socket') },
    directory.controlSocket,
  );
  ends.defer(() => server.close());

  const watcher = new ManifestWatcher(
    { clock, onChange: () => void control.refresh() },
    request.files,
  );
  ends.defer(() => watcher.close());
  await watcher.start();
  await control.restore();
  await Promise.race([control.refresh(), stop.asked]);
  await Promise.race([group.ready(), stop.asked]);
  if (!stop.isAsked) {
    const status = await operations.status();
    await lock.describe({
      pid: host.pid,
      startedMs: clock.wallMs(),
      eventsUrl: status.eventsUrl,
      adminUrl: admin.url,
    });
    greet(host, request, {
      status,
      startMs: clock.monotonicMs() - startedMs,
      listenHost: listen.host,
      dataDir: up.dataDir,
    });
  }
  await stop.asked;
  log.info('ending: open requests and deliveries may finish', { drainMs: up.drainMs });
  watcher.close();
  await group.stop(up.drainMs);
  return 0;
}

function greet(
  host: UpHost,
  request: UpRequest,
  facts: {
    readonly status: Parameters<typeof greetingLines>[0]['status'];
    readonly startMs: number;
    readonly listenHost: string;
    readonly dataDir: string | null;
  },
): void {
  const dataFlag = facts.dataDir === null ? '' : ` --data-dir ${facts.dataDir}`;
  for (const line of greetingLines({ ...facts, command: request.command, dataFlag }))
    host.say(line);
}

function reasonsOf(control: ControlSide | null, group: EventGroup | null): readonly string[] {
  const reasons: string[] = [];
  if (control?.isSettled !== true)
    reasons.push('the objects of the files are not all in force yet');
  for (const { name, state } of group?.reports ?? []) {
    if (state !== 'ready') reasons.push(`the process ${name} is ${state}`);
  }
  if (group === null) reasons.push('the event side is not started yet');
  return reasons;
}

function stopOnSignal(
  host: UpHost,
  group: EventGroup,
  log: Logger,
): { readonly asked: Promise<void>; readonly isAsked: boolean } {
  let isAsked = false;
  const asked = new Promise<void>((resolve) => {
    host.onSignal(() => {
      if (isAsked) {
        log.warn('ended at once by a second signal');
        group.kill();
        process.exit(1);
      }
      isAsked = true;
      resolve();
    });
  });
  return {
    asked,
    get isAsked() {
      return isAsked;
    },
  };
}

/** A mistyped path at the start is an answer, not something to wait for. */
async function requireFiles(files: readonly string[]): Promise<void> {
  for (const file of files) {
    const list = await listManifestFiles(file);
    if (list.ok) continue;
    throw localError('LOCAL_MANIFEST_MISSING', `Cannot read -f "${file}": it ${list.reason}`);
  }
}

function listenAddress(text: string): ListenAddress {
  const address = parseListenAddress(text);
  assert(address !== null, 'the settings were checked', { text });
  return address;
}
