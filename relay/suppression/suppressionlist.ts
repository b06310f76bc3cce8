/**
 * The recipients of one relay that get no mail for some time. The router learns them from the answers of next hops, and
 * the listeners read them. Each is written beside the queue, without a sync of its own: a crash loses the last moment, and
 * such a recipient bounces once more. What is over or damaged is removed, and the number is bounded.
 */
import type { Policy } from '#crds/policyfile.ts';
import { keyOf, printKeyed } from '../addresses/addressmap.ts';
import type { Log } from '../observe/log.ts';
import type { SuppressedRecipients } from '../queue/control.ts';
import type { MailEvent } from '../queue/mailevent.ts';
import type { Spool } from '../spool/spool.ts';
import {
  addBounce,
  type Bounced,
  chooseLonger,
  countsAsBounce,
  decodeBounced,
  encodeBounced,
  isOver,
  type Lifted,
  type Suppressed,
} from './entry.ts';

const SWEEP_MS = 60_000;
const SLICE = 500;
const MOST = 100_000;

export interface SuppressionDeps {
  readonly terms: NonNullable<Policy['queue']['suppression']>;
  readonly recipients: Spool['suppressions'];
  readonly log: Log;
  readonly wall: () => number;
  readonly most?: number;
}

export class SuppressionList implements SuppressedRecipients {
  readonly #deps: SuppressionDeps;
  readonly #most: number;
  readonly #timer: NodeJS.Timeout;
  #size = 0;
  #isFullTold = false;

  constructor(deps: SuppressionDeps) {
    this.#deps = deps;
    this.#most = deps.most ?? MOST;
    this.#timer = setInterval(() => void this.sweep(), SWEEP_MS).unref();
    void this.sweep();
  }

  learn(events: readonly MailEvent[]): void {
    for (const event of events) if (countsAsBounce(event, this.#deps.terms)) this.#add(event);
  }

  /** Those that get no mail now, in order of their addresses. */
  *list(): Generator<Suppressed> {
    const { wall } = this.#deps;
    for (const { address, bounced } of this.#all()) {
      const { until } = bounced;
      if (until !== null && until > wall()) yield describe(printKeyed(address), { ...bounced, until });
    }
  }

  /** Forgets these recipients, with the bounces that were counted so far. */
  async lift(addresses: readonly string[]): Promise<Lifted[]> {
    const { recipients } = this.#deps;
    const done: Lifted[] = [];
    for (const address of addresses) {
      const key = keyOf(address);
      const isThere = recipients.find(key) !== undefined;
      if (isThere) await recipients.change(key, () => undefined);
      done.push({ address, result: isThere ? 'done' : 'gone' });
    }
    return done;
  }

  /** Removes what is over, and what is damaged. An earlier version had other keys, by which nothing is found any more. */
  async sweep(): Promise<void> {
    const { recipients, terms, wall, log } = this.#deps;
    try {
      let left = 0;
      const over: string[] = [];
      const old: string[] = [];
      for (const { address, bounced } of this.#all()) {
        if (isOver(bounced, wall(), terms.seconds * 1000)) over.push(address);
        else left += 1;
        if (keyOf(address) !== address) old.push(address);
      }
      this.#size = left;
      this.#isFullTold = false;
      for (const address of over) await recipients.change(address, () => undefined);
      for (const address of old) await recipients.move(address, keyOf(address), chooseLonger);
      const damaged = await recipients.removeDamaged();
      if (damaged > 0) log('suppression_damaged', { recipients: damaged });
    } catch (error) {
      log('suppression_failed', { message: (error as Error).message });
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #add(event: MailEvent): void {
    const { recipients, terms, log } = this.#deps;
    if (this.#size >= this.#most) {
      if (!this.#isFullTold)
        log('suppression_failed', { message: `${this.#most} recipients are suppressed` });
      this.#isFullTold = true;
      return;
    }
    this.#size += 1;
    recipients
      .change(keyOf(event.to), (before) => encodeBounced(addBounce(decodeBounced(before), event, terms)))
      .catch(({ message }: Error) => log('suppression_failed', { message }));
  }

  *#all() {
    for (let after = ''; ; ) {
      const slice = this.#deps.recipients.list(after, SLICE);
      for (const { key: address, value } of slice) {
        const bounced = decodeBounced(value);
        if (bounced) yield { address, bounced };
      }
      const last = slice.at(-1);
      if (!last) return;
      after = last.key;
    }
  }
}

function describe(
  address: string,
  { bounces, until, status, text }: Bounced & { readonly until: number },
): Suppressed {
  const instant = new Date(until).toISOString().replace(/\.\d+Z$/, 'Z');
  return { address, until: instant, bounces, status, text };
}
