/**
 * The settings of `millrace up` itself. Everything has a flag and a variable; `up.ts` parses them with
 * the sections of the parts that it starts.
 */
import { defineSettings } from '#lib/config/settings';
import type { SettingsOf } from '#lib/config/settings';
import { LOG_LEVELS } from '#lib/telemetry/pino-log';
import type { ListenAddress } from './event-side-settings.ts';

const OURS = 'ours: docs/adr, running on one machine';

export const UP_SETTINGS = defineSettings('', {
  dataDir: {
    type: 'string',
    default: null,
    description:
      'The data directory; $XDG_STATE_HOME/millrace or ~/.local/state/millrace if not set.',
    source: 'XDG Base Directory Specification',
  },
  listen: {
    type: 'string',
    default: '127.0.0.1:8080',
    check: listenFaultOf,
    description: 'Where events are taken, as HOST:PORT; port 0 takes any free one.',
    source: 'Knative: its ingress listens at 8080',
  },
  adminListen: {
    type: 'string',
    default: '127.0.0.1:9090',
    check: listenFaultOf,
    description: 'Where /healthz, /readyz and /metrics are, as HOST:PORT.',
    source: 'Knative: its metrics are at 9090',
  },
  roles: {
    type: 'choice',
    choices: ['fused', 'separate'],
    default: 'fused',
    description: 'Ingress, filter and dispatcher in one process (fused) or in three (separate).',
    source: OURS,
  },
  store: {
    type: 'choice',
    choices: ['embedded', 'memory'],
    default: 'embedded',
    description: 'The channel driver; memory keeps nothing over a restart and is for trials only.',
    source: OURS,
  },
  drainMs: {
    type: 'duration',
    default: 10_000,
    min: 0,
    max: 3_600_000,
    description:
      'How long an end waits for open requests and deliveries; the rest goes on at the next start.',
    source: 'Kubernetes: 30 s of grace by default',
  },
  logFormat: {
    type: 'choice',
    choices: ['auto', 'json', 'text'],
    default: 'auto',
    description:
      'Log lines on standard error: text at a terminal and JSON elsewhere (auto), or always one.',
    source: 'Knative: JSON lines',
  },
  logLevel: {
    type: 'choice',
    choices: LOG_LEVELS,
    default: 'info',
    description: 'The least important log lines that are written.',
    source: 'Knative `config-logging`',
  },
});

export type UpSettings = SettingsOf<typeof UP_SETTINGS>;

function listenFaultOf(text: string): string | null {
  return parseListenAddress(text) === null
    ? 'must be HOST:PORT, as 127.0.0.1:8080 or [::1]:8080'
    : null;
}

/** `HOST:PORT`, IPv6 in brackets; `null` when it is not that. */
export function parseListenAddress(text: string): ListenAddress | null {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  return host === undefined || port > 65_535 ? null : { host, port };
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}
