/** What a cache of one collection needs to know, and whom it tells. */
import type { KubeObject } from './client.ts';
import type { CollectionOptions } from './collection.ts';
import type { Kind } from './kinds.ts';

export interface ListWatchOptions extends CollectionOptions {
  /** `before` is undefined for a new object, `after` for one that is gone. */
  readonly onChange: (before: KubeObject | undefined, after: KubeObject | undefined) => void;
  /** Is called once for each reason that a retry may not mend. */
  readonly onTrouble: (kind: Kind, message: string) => void;
  readonly random: () => number;
  /** Milliseconds of silence after which a watch is replaced. */
  readonly silenceMs?: number;
  /**
   * Reduces an object to the fields that the cache keeps. Managed fields alone are more than half of a small object.
   * `before` is what the cache has kept of it.
   */
  readonly keep?: (object: KubeObject, before: KubeObject | undefined) => KubeObject;
  /** The cluster knows the kind, from the start or since now. */
  readonly onExists?: () => void;
  /** The collection can be read again. */
  readonly onRecovered?: () => void;
  /** The first list is complete. The list of a kind that does not exist is complete and empty. */
  readonly onSynced?: () => void;
  /** The first list has failed some times, or what was listed may not be watched any more. It is tried on. */
  readonly onOverdue?: () => void;
  /** For a kind that the cluster may lack: the pause between two looks for it. Until it exists the cache is empty. */
  readonly absentMs?: number | undefined;
}
