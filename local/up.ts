/**
 * `millrace up`: everything on one machine. The control side runs here, the event side in children; this
 * file builds the graph, starts it in order, waits for a signal, ends it in order. Read it to see what
 * runs. Invariant: whatever this process does, no child survives it.
 *
 *   lock data → admin listener → children (store, ingress) → last objects → files → ready → greeting
 */
import path from 'node:path';
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
import type { MetricFamily } from '#lib/telemetry/metrics';
import { startAdminListener } from './admin-listener.ts';
import { ControlSide } from './control-side.ts';
import { createOperations } from './control/control-operations.ts';
import type { ControlOperations } from './control/control-server.ts';
import { crashOnBugs } from './crash.ts';
import type { DataDirectory } from './data/data-directory.ts';
import type { AdminListener } from './admin-listener.ts';
import type { LogFormat } from './log-lines.ts';
import type { UpSettings } from './up-settings.ts';
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
import { isLoopback, parseListenAddress, UP_SETTINGS } from './up-settings.ts';
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

const EXAMPLE_FILE = path.resolve(import.meta.dirname, '../docs/how-to/hello.yaml');
const SETTINGS = { up: UP_SETTINGS, ingress: INGRESS_SETTINGS, embedded: EMBEDDED_SETTINGS };

/** The exit code: 0 after a clean end. @throws MeshError when it cannot start. */
export async function runUp(host: UpHost, request: UpRequest): Promise<number> {
  const startedMs = host.clock.monotonicMs();
  const plan = await planUp(host, request);
  const { up, log, directory } = plan;
  crashOnBugs(() => log);
  await prepareDataDirectory(directory);
  await using ends = new AsyncDisposableStack();
  const lock = await takeDataLock(directory, host.clock);
  ends.defer(() => lock.release());
  const owner = { pid: host.pid, startedMs: host.clock.wallMs(), eventsUrl: null, adminUrl: null };
  await lock.describe(owner);

  const parts = await createParts(host, request, plan, ends);
  const { group, control, operations, admin } = parts;
  const stop = stopOnSignal(host, group, log);
  await Promise.race([group.start(), stop.asked]);
  const server = await startControlServer(
    { operations, tail: parts.tail, log: log.child('socket') },
    directory.controlSocket,
  );
  ends.defer(() => server.close());
  const watcher = new ManifestWatcher(
    { clock: host.clock, onChange: () => void control.refresh() },
    request.files,
  );
  ends.defer(() => watcher.close());
  await watcher.start();
  await control.restore();
  await Promise.race([control.refresh(), stop.asked]);
  await Promise.race([group.ready(), stop.asked]);
  if (!stop.isAsked) {
    await lock.describe({ ...owner, eventsUrl: group.eventsUrl, adminUrl: admin.url });
    const status = await operations.status();
    const startMs = host.clock.monotonicMs() - startedMs;
    const dataFlag = up.dataDir === null ? '' : ` --data-dir ${up.dataDir}`;
    const triggerCount = control.routes.triggers.size;
    const exampleFile = path.relative(host.workingDirectory, EXAMPLE_FILE);
    const given = { command: request.command, listenHost: plan.listen.host, dataFlag, exampleFile };
    for (const line of greetingLines({ status, startMs, triggerCount, ...given })) host.say(line);
  }
  await stop.asked;
  log.info('ending: open requests and deliveries may finish', { drainMs: up.drainMs });
  watcher.close();
  await group.stop(up.drainMs);
  return 0;
}

/** Everything that is decided before anything is touched. */
interface UpPlan {
  readonly up: UpSettings;
  readonly ingress: EventSideSettings['ingress'];
  readonly embedded: EventSideSettings['embedded'];
  readonly logFormat: LogFormat;
  readonly log: Logger;
  readonly directory: DataDirectory;
  readonly listen: ListenAddress;
  readonly adminListen: ListenAddress;
}

async function planUp(host: UpHost, request: UpRequest): Promise<UpPlan> {
  const { clock, environment, isTerminal } = host;
  const { values, report } = requireSettings(SETTINGS, { environment, flags: request.flags });
  const { up, ingress, embedded } = values;
  const logFormat = up.logFormat === 'auto' ? (isTerminal ? 'text' : 'json') : up.logFormat;
  const log = createStderrLog(
    { clock },
    { name: 'millrace.up', level: up.logLevel, format: logFormat },
  );
  log.debug('settings', Object.fromEntries(report.map(({ path, value }) => [path, value])));
  await requireFiles(request.files);
  const listen = listenAddress(up.listen);
  if (!isLoopback(listen.host)) {
    log.warn('whoever reaches this address can send events: there is no authentication', {
      listen: up.listen,
    });
  }
  return {
    ...{ up, embedded, logFormat, log, listen },
    ingress: ingress.hosts.length === 0 ? { ...ingress, hosts: ownNames(listen) } : ingress,
    directory: dataDirectoryAt(up.dataDir, environment, host.workingDirectory),
    adminListen: listenAddress(up.adminListen),
  };
}

/**
 * On loopback only local programs mean this listener by its own names; a web page that reaches it
 * through a name of its own (DNS rebinding) is refused. Elsewhere any name may be meant: empty.
 */
function ownNames({ host }: ListenAddress): readonly string[] {
  if (!isLoopback(host)) return [];
  const own = host.includes(':') ? `[${host}]` : host;
  return [...new Set(['localhost', '127.0.0.1', '[::1]', own])];
}

interface UpParts {
  readonly admin: AdminListener;
  readonly group: EventGroup;
  readonly control: ControlSide;
  readonly tail: TailHub;
  readonly operations: ControlOperations;
}

/** Builds the graph; of it only the admin listener is started, because others need its port. */
async function createParts(
  host: UpHost,
  request: UpRequest,
  plan: UpPlan,
  ends: AsyncDisposableStack,
): Promise<UpParts> {
  const { clock } = host;
  const { log, directory } = plan;
  // The admin listener answers before the parts that it asks are made.
  const made: { control: ControlSide | null; group: EventGroup | null } = {
    control: null,
    group: null,
  };
  const readinessReasons = (): readonly string[] => reasonsOf(made.control, made.group);
  const metrics = async (): Promise<readonly MetricFamily[]> =>
    (await made.group?.requestAll('metrics', null))?.flatMap(({ result }) => result) ?? [];
  const admin = await startAdminListener({ readinessReasons, metrics }, plan.adminListen);
  ends.defer(() => admin.close());

  const group = createGroup(host, plan, admin.port);
  made.group = group;
  ends.defer(() => group.stop(0));
  // The last resort: an exit on any path, a bug included, leaves no child behind.
  process.on('exit', () => group.kill());

  const rules = createAddressRules({ profile: LAPTOP_PROFILE, ownPorts: [admin.port] });
  const control = new ControlSide(
    {
      ...{ clock, ids: createSystemIds(), log: log.child('control'), group, rules },
      reader: new ManifestReader({ clock, rules }),
      state: new ObjectStateFile(directory.stateDir, log.child('state')),
    },
    request.files,
  );
  made.control = control;
  const tail = new TailHub({
    routes: () => control.routes,
    setTail: (isOn) => group.setTail(isOn),
  });
  group.listen({ tail: (entries, skippedCount) => tail.take(entries, skippedCount) });
  const facts = {
    version: readVersion(),
    pid: host.pid,
    startedMs: clock.wallMs(),
    adminUrl: admin.url,
    dataDir: directory.root,
    files: request.files,
  };
  const operations = createOperations({ control, group, clock, readinessReasons, facts });
  return { admin, group, control, tail, operations };
}

function createGroup(host: UpHost, plan: UpPlan, adminPort: number): EventGroup {
  const { up, listen, ingress, embedded, logFormat, directory } = plan;
  const settings: EventSideSettings = {
    storeDir: directory.storeDir,
    driver: up.store,
    ...{ listen, ingress, embedded, logFormat },
    ownPorts: [adminPort],
    logLevel: up.logLevel,
  };
  const processes = up.roles === 'fused' ? [EVENT_ROLES] : EVENT_ROLES.map((role) => [role]);
  const fork = createFork(childEnvironment(host.environment));
  const log = plan.log.child('supervisor');
  return new EventGroup({ clock: host.clock, log, fork }, { processes, settings });
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
