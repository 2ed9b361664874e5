/**
 * The structure of the repository as data: who may import whom, which npm package is used where, what
 * is banned outside which folder, and the sizes. The rules beside this file enforce it. A change here
 * is a change of architecture: it comes with an ADR, or with the README of the folder concerned.
 */

/**
 * The lib topics from low to high: a topic imports only topics before it. `contract` is low because
 * channels and delivery are told in its words what to do (docs/adr/0006-lint-and-type-tools.md).
 */
export const LIB_TOPICS: readonly string[] = [
  'assert',
  'errors',
  'result',
  'time',
  'random',
  'ids',
  'disk',
  'async',
  'config',
  'telemetry',
  'http',
  'security',
  'cloudevents',
  'filters',
  'contract',
  'channel',
  'delivery',
  'scaling',
];

/** A folder and what it may import of ours, besides itself. The first row whose `folder` fits holds. */
export interface FolderRule {
  /** Path from the root, without slash at the end; `*` stands for one folder name. */
  readonly folder: string;
  /** Units that may be imported, same form. */
  readonly mayImport: readonly string[];
  /** Why, for the finding. */
  readonly reason: string;
}

const SERVICES_WITH_KUBE = ['activator', 'autoscaler', 'webhook', 'sources'];

export const FOLDER_RULES: readonly FolderRule[] = [
  { folder: 'lib/*', mayImport: [], reason: 'lib topics import only lower-ranked lib topics' },
  { folder: 'api', mayImport: ['lib/*'], reason: 'api is types and validation over lib' },
  { folder: 'kube', mayImport: ['lib/*', 'api'], reason: 'kube is a framework over lib and api' },
  {
    folder: 'channels/*',
    mayImport: ['lib/*'],
    reason: 'a driver knows the port in lib/channel and no other driver',
  },
  {
    folder: 'channels',
    mayImport: ['lib/*', 'channels/*'],
    reason: 'the registry loads drivers and nothing else',
  },
  ...SERVICES_WITH_KUBE.map((name) => ({
    folder: `services/${name}`,
    mayImport: ['lib/*', 'channels', 'api', 'kube'],
    reason: 'services meet in channels and in the routing table, never in imports',
  })),
  {
    folder: 'services/*',
    mayImport: ['lib/*', 'channels', 'api'],
    reason: 'services meet in channels and in the routing table, never in imports',
  },
  {
    folder: 'controllers/*',
    mayImport: ['lib/*', 'api', 'kube'],
    reason: 'a controller serves one kind; it meets the data plane in the routing table',
  },
  {
    folder: 'controllers',
    mayImport: ['lib/*', 'api', 'kube', 'controllers/*', 'channels'],
    reason: 'the manager starts controllers and nothing else',
  },
  {
    folder: 'apiserver',
    mayImport: ['lib/*', 'api'],
    reason: 'client and server must not agree on the same mistake',
  },
  {
    folder: 'local',
    mayImport: ['lib/*', 'api', 'kube', 'channels', 'services/*', 'controllers', 'apiserver'],
    reason: 'local imports what it starts',
  },
  {
    folder: 'cli',
    mayImport: ['lib/*', 'api', 'kube', 'channels', 'services/*', 'local'],
    reason: 'cli imports what it starts',
  },
  {
    folder: 'test',
    mayImport: [
      ...['lib/*', 'api', 'kube', 'channels', 'channels/*', 'services/*', 'controllers'],
      ...['controllers/*', 'apiserver', 'local', 'cli', 'tools/*'],
    ],
    reason: 'test imports everything',
  },
  { folder: 'tools/*', mayImport: ['lib/*'], reason: 'tools read the rest as text or data' },
];

/** In `main.ts` of a service, the composition root. */
export const MAIN_MAY_IMPORT: readonly string[] = ['kube'];

/** npm packages by the folders that may import them; `folder/**` takes all below. */
export const PACKAGE_FOLDERS: Readonly<Record<string, readonly string[]>> = {
  undici: ['lib/http', 'lib/delivery', 'services/dispatcher', 'cli', 'local', 'test'],
  pino: ['lib/telemetry'],
  yaml: ['lib/contract', 'local', 'test', 'tools', 'api'],
  fastify: ['services/ingress', 'services/gateway', 'services/console', 'local', 'apiserver'],
  commander: ['cli'],
  typescript: ['tools'],
};

/** Packages for tests only: in `*.test.ts` and under test/. */
export const TEST_PACKAGES: readonly string[] = ['cloudevents', 'fast-check'];

export interface Ban {
  /** `Date.now`, `setTimeout`, `new Date()`, or a module such as `node:timers`. */
  readonly name: string;
  readonly insteadUse: string;
  /** Folders where it is allowed, besides tests of those folders. */
  readonly allowedIn: readonly string[];
}

const REAL_TIME = ['lib/time', 'test', 'tools'];
const CLOCK = 'take a Clock (lib/time/clock) as a dependency';

export const BANS: readonly Ban[] = [
  { name: 'Date.now', insteadUse: `${CLOCK}: wallMs()`, allowedIn: REAL_TIME },
  { name: 'new Date()', insteadUse: `${CLOCK}: new Date(clock.wallMs())`, allowedIn: REAL_TIME },
  { name: 'performance.now', insteadUse: `${CLOCK}: monotonicMs()`, allowedIn: REAL_TIME },
  { name: 'process.hrtime', insteadUse: `${CLOCK}: monotonicMs()`, allowedIn: REAL_TIME },
  { name: 'setTimeout', insteadUse: `${CLOCK}: after(), or sleep()`, allowedIn: REAL_TIME },
  { name: 'setInterval', insteadUse: `${CLOCK}: every()`, allowedIn: REAL_TIME },
  { name: 'setImmediate', insteadUse: `${CLOCK}: soon()`, allowedIn: REAL_TIME },
  { name: 'AbortSignal.timeout', insteadUse: `${CLOCK}: after()`, allowedIn: REAL_TIME },
  { name: 'node:timers', insteadUse: CLOCK, allowedIn: REAL_TIME },
  { name: 'node:timers/promises', insteadUse: `${CLOCK}: sleep()`, allowedIn: REAL_TIME },
  {
    name: 'Math.random',
    insteadUse: 'take a Random (lib/random/random) as a dependency',
    allowedIn: ['lib/random', 'test', 'tools'],
  },
  {
    name: 'randomUUID',
    insteadUse: 'take Ids (lib/ids/ids) as a dependency',
    allowedIn: ['lib/ids', 'test', 'tools'],
  },
  {
    name: 'process.env',
    insteadUse: 'declare a setting (lib/config/settings), or use readEnvironment in a main.ts',
    allowedIn: ['lib/config', 'test', 'tools'],
  },
];

export const LIMITS = {
  fileLineCount: 600,
  functionLineCount: 70,
  mainLineCount: 150,
  readmeLineCount: 60,
} as const;

/** Words that say nothing about what a file is. */
export const EMPTY_NAME_WORDS: readonly string[] = [
  'util',
  'utils',
  'helper',
  'helpers',
  'common',
  'manager',
  'misc',
];

/** Names that are a dump when they are the whole name; `media-types` is a noun. */
export const EMPTY_NAMES: readonly string[] = ['types', 'shared', 'lib', 'base'];

/** Files that nothing imports because a program starts them by path. */
export const ENTRY_FILES: readonly RegExp[] = [
  /(?:^|\/)main\.ts$/,
  /\.test\.ts$/,
  /^tools\/test\/reporter\.ts$/,
];
