/**
 * Entries by the time when they are due, those of one time by their ids. A heap: to add an entry costs little, however
 * many there are and whenever they are due. This file has no clock of its own.
 */
interface Due {
  readonly id: string;
  readonly due: number;
}

export class DueHeap<Entry extends Due> {
  /** No entry is due before the one above it, which is at half its place. */
  readonly #entries: Entry[];

  /** The array becomes part of the heap. */
  constructor(entries: Entry[]) {
    this.#entries = entries;
    for (let place = (entries.length >> 1) - 1; place >= 0; place--)
      this.#sink(entries[place] as Entry, place);
  }

  get size(): number {
    return this.#entries.length;
  }

  get first(): Entry | undefined {
    return this.#entries[0];
  }

  /** All of them, in no order. */
  get entries(): readonly Entry[] {
    return this.#entries;
  }

  add(entry: Entry): void {
    let place = this.#entries.length;
    for (let up = (place - 1) >> 1; place > 0; up = (place - 1) >> 1) {
      const above = this.#entries[up];
      if (!above || compareDue(above, entry) <= 0) break;
      this.#entries[place] = above;
      place = up;
    }
    this.#entries[place] = entry;
  }

  takeFirst(): Entry | undefined {
    const [first] = this.#entries;
    const last = this.#entries.pop();
    if (last && this.#entries.length > 0) this.#sink(last, 0);
    return first;
  }

  /** Puts the entry into this place, or below it where others are due before. */
  #sink(entry: Entry, from: number): void {
    let place = from;
    for (let next = this.#below(place); next !== -1; next = this.#below(place)) {
      const below = this.#entries[next] as Entry;
      if (compareDue(below, entry) >= 0) break;
      this.#entries[place] = below;
      place = next;
    }
    this.#entries[place] = entry;
  }

  /** The place of the earlier one of the two entries below. -1: there is none. */
  #below(place: number): number {
    const left = 2 * place + 1;
    const [one, other] = [this.#entries[left], this.#entries[left + 1]];
    if (!one) return -1;
    return other && compareDue(other, one) < 0 ? left + 1 : left;
  }
}

/** Below zero if `one` is due before `other`. */
export function compareDue(one: Due, other: Due): number {
  if (one.due !== other.due) return one.due - other.due;
  if (one.id === other.id) return 0;
  return one.id < other.id ? -1 : 1;
}
