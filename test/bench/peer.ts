/** What a relay has to be able to do to be measured: start in a folder of its own on given ports, and end. */
import type { Pair } from '#test/kit/ca.ts';

export interface Setting {
  readonly dir: string;
  readonly port: number;
  /** Where everything is relayed to. */
  readonly sinkPort: number;
  readonly pair: Pair;
  /** STARTTLS required on the way out, and offered on the way in; or none. */
  readonly tls: boolean;
  readonly cutThrough: boolean;
}

export interface Running {
  /** The process at the root of the tree that is measured. */
  readonly pid: number;
  /** Syncs so far by its own count, where it has one. */
  syncs?(): Promise<number>;
  stop(): Promise<void>;
}

export interface Peer<R extends Running = Running> {
  readonly name: string;
  /** Why it cannot run here, or undefined. */
  problem(): string | undefined;
  version(): string;
  start(setting: Setting): Promise<R>;
}
