/** How fast mail may go: what limits have counted and who asked for fewer messages, and the memory of both. */
import { Paces } from './paces.ts';
import { ShapingMemory, type ShapingMemoryDeps } from './shapingmemory.ts';
import { SlowDowns } from './slowdowns.ts';

export class Shaping {
  readonly paces: Paces;
  readonly slowDowns: SlowDowns;
  readonly #memory: ShapingMemory;
  readonly #clock: () => number;

  constructor(deps: ShapingMemoryDeps) {
    this.#clock = deps.clock;
    this.#memory = new ShapingMemory(deps);
    this.paces = new Paces(this.#memory.note);
    this.slowDowns = new SlowDowns(this.#memory.note);
  }

  /** Goes on where the router before has ended. */
  resume(): void {
    const remembered = this.#memory.load();
    this.paces.remember(remembered, this.#clock());
    this.slowDowns.remember(remembered);
  }

  /** Writes what has changed. Never rejects. */
  write(): Promise<void> {
    return this.#memory.write();
  }
}
