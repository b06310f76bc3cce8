/** What limits have counted and who asked for fewer messages, as values that the next router gets (shapingmemory.ts). Pure. */
import type { Failure } from '#crds/failure.ts';

/** A receiver whose pace is halved. */
export interface Slowed {
  readonly name: string;
  /** Deliveries under way when it asked: what is halved where the limit is higher. */
  readonly underWay: number;
  readonly failure: Failure;
  readonly halvings: number;
  /** When it asked last. */
  readonly at: number;
  /** Since when its pace has not been whole. */
  readonly since: number;
}

export interface BegunRow {
  readonly kind: 'begun';
  /** Of the destination or the provider. */
  readonly name: string;
  /** Older beginnings do not count. */
  readonly windowMs: number;
  /** Sorted, oldest first. */
  readonly begun: readonly number[];
}

export type Row = BegunRow | ({ readonly kind: 'slow' } & Slowed);

export interface Remembered {
  /** Beginnings of deliveries by name. */
  readonly begun: ReadonlyMap<string, readonly number[]>;
  readonly slowed: ReadonlyMap<string, Slowed>;
}

/** `row` gives the value at the time of writing. Undefined: there is nothing to remember. */
export type NoteChange = (key: string, row: () => Row | undefined) => void;

export const NO_NOTE: NoteChange = () => undefined;
export const NO_ROW = (): undefined => undefined;
