/**
 * The counts and measurements of one task between two reports to its supervisor. Counts have the key `name` or
 * `name{label,label}`, measurements have a name. Only increments travel, so a task that dies loses only its last
 * moment. Memory is bounded: a sample of the measurements is kept, which is enough for a quantile.
 */
import type { Failure } from '#crds/failure.ts';
import type { StricterLevel } from '#crds/tlslevel.ts';
import type { Counted, JudgedDestination } from './messages.ts';

/** By level: why it would have made the mail wait. null: it would not have. */
type Judgement = Readonly<Partial<Record<StricterLevel, Failure | null>>>;

/** Measurements of one name between two reports. More measurements overwrite the oldest ones. */
const SAMPLE = 1_000;
/** Destinations between two reports. The judgement of further ones is not told. */
const JUDGED = 1_000;

export class Counters {
  readonly #counts = new Map<string, number>();
  #observations: Record<string, number[]> = {};
  #judged = new Map<string, Judgement>();
  #any = false;
  #turn = 0;

  add(name: string, label?: string, count = 1): void {
    const key = label === undefined ? name : `${name}{${label}}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + count);
    this.#any = true;
  }

  observe(name: string, value: number): void {
    this.#observations[name] ??= [];
    const values = this.#observations[name];
    if (values.length < SAMPLE) values.push(value);
    else values[this.#turn++ % SAMPLE] = value;
    this.#any = true;
  }

  /** The last judgement of a destination counts. It becomes text when it is taken, not with each message. */
  judged(destination: string, judgement: Judgement): void {
    if (this.#judged.size < JUDGED || this.#judged.has(destination)) this.#judged.set(destination, judgement);
    this.#any = true;
  }

  /** The counts and measurements since the last call, if there are any. */
  take(): Counted | undefined {
    if (!this.#any) return undefined;
    const judged = this.#judged.size > 0 ? { judged: [...this.#judged].map(describeJudgement) } : {};
    const taken = { counts: Object.fromEntries(this.#counts), observations: this.#observations, ...judged };
    this.#judged = new Map();
    this.#counts.clear();
    this.#observations = {};
    this.#any = false;
    return taken;
  }
}

function describeJudgement([destination, judgement]: [string, Judgement]): JudgedDestination {
  const judged = Object.entries(judgement).map(([level, failure]) => [
    level,
    failure && { cause: failure.cause, message: failure.text },
  ]);
  return { destination, judged: Object.fromEntries(judged) };
}
