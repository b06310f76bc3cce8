/**
 * The policies of MTA-STS that were fetched, by domain. Entries and bytes are bounded: the domain that was not used for
 * the longest time goes first. With a file the cache survives a restart: it is read once and written atomically, after
 * every change, one write after another. What siblings handed over is taken in from files beside it. A file that cannot
 * be read or written changes nothing but the memory of a restart: its policies are fetched again.
 */
import { readFileSync } from 'node:fs';
import { writeAtomically } from '../task/atomicfile.ts';
import { HandedOver } from './handedover.ts';
import { type CachedPolicy, isValid, parsePolicies, printPolicies } from './policiestext.ts';

const MOST_DOMAINS = 10_000;
export const MOST_BYTES = 8 * 1024 * 1024;
/** Between two writes, so that many changes share one. */
const PAUSE_MS = 2_000;

export interface CacheFile {
  readonly path: string;
  readonly onError: (error: Error) => void;
  /** True for all but the process that the file belongs to. */
  readonly isReadOnly?: boolean;
}

export class PolicyCache {
  /** In the order of use. Each policy as a text, as in the file: objects would take four times the memory. */
  readonly #policies = new Map<string, string>();
  readonly #file: CacheFile | null;
  readonly #handedOver: HandedOver | undefined;
  #bytes = 0;
  #isChanged = false;
  #writing: Promise<void> | undefined;
  #isClosing = false;
  #endPause: () => void = () => undefined;

  /** null: only in memory. */
  constructor(file: CacheFile | null) {
    this.#file = file;
    if (!file) return;
    this.#read(file);
    this.#handedOver = new HandedOver(file.path, file.onError);
    if (!file.isReadOnly) this.#handedOver.removeUnfinished();
  }

  /** From the domain that was not used for the longest time. */
  get domains(): string[] {
    return [...this.#policies.keys()];
  }

  /** The policy of the domain, if its time is not over. */
  get(domain: string, now: number): CachedPolicy | undefined {
    const found = this.#find(domain);
    return found && isValid(found, now) ? found : undefined;
  }

  /** Forgets the policy of the domain if its time is over, and returns it. */
  dropOver(domain: string, now: number): CachedPolicy | undefined {
    const found = this.#find(domain);
    if (!found || isValid(found, now)) return undefined;
    this.#remove(domain);
    this.#changed();
    return found;
  }

  use(domain: string, now: number): void {
    const found = this.#find(domain);
    if (found) this.#put(domain, { ...found, usedAt: now });
  }

  set(domain: string, policy: CachedPolicy): void {
    this.#put(domain, policy);
    this.#trim();
    this.#changed();
  }

  /** Takes in what siblings have handed over since the last time. Of two policies of a domain the newer one counts. */
  takeIn(now: number): void {
    const handed = this.#handedOver?.read() ?? [];
    if (handed.length === 0) return;
    for (const [domain, policy] of handed.flat()) {
      const ours = this.#find(domain);
      const isNewer = !ours || ours.fetchedAt < policy.fetchedAt;
      if (!isNewer || !isValid(policy, now)) continue;
      this.#put(domain, { ...policy, usedAt: Math.max(policy.usedAt, ours?.usedAt ?? 0) });
    }
    this.#sort();
    this.#trim();
    this.#changed();
  }

  /** All policies whose time is not over. null: there are none. */
  print(now: number): string | null {
    const valid = [...this.#policies].filter(([, text]) => isValid(JSON.parse(text), now));
    return valid.length === 0 ? null : printPolicies(valid);
  }

  /** Resolves when the last change is in the file. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#endPause();
    await this.#writing;
  }

  #find(domain: string): CachedPolicy | undefined {
    const text = this.#policies.get(domain);
    return text === undefined ? undefined : JSON.parse(text);
  }

  /** As the one that was used last. */
  #put(domain: string, policy: CachedPolicy): void {
    this.#remove(domain);
    const text = JSON.stringify(policy);
    this.#policies.set(domain, text);
    this.#bytes += countBytes(domain, text);
  }

  #remove(domain: string): void {
    const text = this.#policies.get(domain);
    if (text === undefined) return;
    this.#policies.delete(domain);
    this.#bytes -= countBytes(domain, text);
  }

  #trim(): void {
    for (const [oldest] of this.#policies) {
      if (this.#policies.size <= MOST_DOMAINS && this.#bytes <= MOST_BYTES) break;
      this.#remove(oldest);
    }
  }

  /** By the last use, after policies of other pods came in. */
  #sort(): void {
    const used = Array.from(this.#policies, (entry) => ({ entry, at: JSON.parse(entry[1]).usedAt }));
    this.#policies.clear();
    for (const { entry } of used.toSorted((a, b) => a.at - b.at)) this.#policies.set(...entry);
  }

  #read(file: CacheFile): void {
    try {
      for (const [domain, policy] of parsePolicies(readFileSync(file.path, 'utf8')))
        this.#put(domain, policy);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') file.onError(error as Error);
    }
  }

  #changed(): void {
    if (!this.#file || this.#file.isReadOnly) return;
    this.#isChanged = true;
    this.#writing ??= this.#writeAll(this.#file);
  }

  /** The first change is written at once. */
  async #writeAll(file: CacheFile): Promise<void> {
    while (this.#isChanged) {
      this.#isChanged = false;
      const forget = this.#handedOver?.forgetRead();
      await writeAtomically(file.path, printPolicies(this.#policies)).then(forget).catch(file.onError);
      if (!this.#isClosing) await this.#pause();
    }
    this.#writing = undefined;
  }

  #pause(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, PAUSE_MS);
    this.#endPause = () => {
      clearTimeout(timer);
      resolve();
    };
    return promise;
  }
}

/** In the file. */
function countBytes(domain: string, text: string): number {
  return domain.length + text.length + 4;
}
