/**
 * What a process of the event side is told at its start: parsed settings of its parts, and what the
 * control side decided (paths, addresses). Plain data; it crosses a process boundary.
 */
import type { LogLevel } from '#lib/telemetry/pino-log';
import type { EMBEDDED_SETTINGS } from '#channels/index';
import type { SettingsOf } from '#lib/config/settings';
import type { IngressSettings } from '#services/ingress/ingress-settings';

export type EmbeddedSettings = SettingsOf<typeof EMBEDDED_SETTINGS>;

export interface EventSideSettings {
  /** The folder of the embedded store. */
  readonly storeDir: string;
  readonly driver: 'embedded' | 'memory';
  readonly listen: ListenAddress;
  /** Our admin and API ports: no event is ever sent there. */
  readonly ownPorts: readonly number[];
  readonly logLevel: LogLevel;
  readonly logFormat: 'json' | 'text';
  readonly ingress: IngressSettings;
  readonly embedded: EmbeddedSettings;
}

export interface ListenAddress {
  /** A name or an address, IPv6 without brackets. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
}
