/** What the caches of all kinds are given, and whom they tell what they hear. */
import type { Client } from './kube/client.ts';
import type { Kind } from './kube/kinds.ts';

export interface CacheOptions {
  readonly client: Pick<Client, 'request' | 'lines'>;
  /** Undefined: all namespaces. */
  readonly namespaces: readonly string[] | undefined;
  readonly random: () => number;
  /** A MailRelay or one of its objects changed. */
  readonly onNews: (key: string) => void;
  /** The caches of these MailRelays are complete from now on. */
  readonly onComplete: (keys: readonly string[]) => void;
  readonly onTrouble: (kind: Kind, message: string) => void;
  /** In namespaced mode: a namespace is gone or may not be read; and later, it can be read again. */
  readonly onAway: (namespace: string, message: string) => void;
  readonly onBack: (namespace: string) => void;
}
