/**
 * The objects in force and their identities: what the control side knows, and what `objects.json` in
 * the data directory keeps. An object keeps its UID across restarts and edits, because its events,
 * cursors and waiting pairs belong to that UID.
 */
import type { ManifestObject } from '../manifests/object-kinds.ts';

export interface StoredObject {
  /** `Trigger default/audit`. */
  readonly title: string;
  readonly uid: string;
  /** Rises with each change of what the author wrote. */
  readonly generation: number;
  /** Absolute path of the file it came from; `null` for a Broker that Millrace made itself. */
  readonly origin: string | null;
  readonly object: ManifestObject;
  /** As it was decoded; what is kept on disk. */
  readonly raw: unknown;
}

/** By title. */
export type ObjectSet = ReadonlyMap<string, StoredObject>;
