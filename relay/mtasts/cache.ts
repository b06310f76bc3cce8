/**
 * The policies of MTA-STS that were fetched, by domain. Entries and bytes are bounded: the domain that was not used for
 * the longest time goes first. With a file the cache survives a restart: it is read once and written atomically, after
 * every change, one write after another. A file that cannot be read or written changes nothing but the memory of a
 * restart: its policies are fetched again.
 */
import { readFileSync } from 'node:fs';
import { writeAtomically } from '../task/atomicfile.ts';
import type { StsPolicy } from './policy.ts';

export interface CachedPolicy extends StsPolicy {
  /** Of the TXT record under which it was fetched. */
  readonly id: string;
  /** Wall clock, in milliseconds. */
  readonly fetchedAt: number;
  /** The last delivery for which it was looked up. Wall clock, in milliseconds. */
  readonly usedAt: number;
}

const MOST_DOMAINS = 10_000;
const MOST_BYTES = 8 * 1024 * 1024;
/** What an entry takes in the file beside its names. */
const ENTRY_BYTES = 150;
/** A policy with a shorter time, or with none, would have to be fetched for every message. */
const LEAST_AGE_MS = 5 * 60_000;
/** Between two writes, so that many changes share one. */
const PAUSE_MS = 2_000;
const FORMAT = 1;

export interface CacheFile {
  readonly path: string;
  readonly onError: (error: Error) => void;
}

export class PolicyCache {
  /** In the order of use. */
  readonly #policies = new Map<string, CachedPolicy>();
  readonly #file: CacheFile | null;
  #bytes = 0;
  #isChanged = false;
  #writing: Promise<void> | undefined;
  #isClosing = false;
  #endPause: () => void = () => undefined;

  /** null: only in memory. */
  constructor(file: CacheFile | null) {
    this.#file = file;
    if (file) this.#read(file);
  }

  /** From the domain that was not used for the longest time. */
  get domains(): string[] {
    return [...this.#policies.keys()];
  }

  /** The policy of the domain, if its time is not over. */
  get(domain: string, now: number): CachedPolicy | undefined {
    const found = this.#policies.get(domain);
    if (!found || isValid(found, now)) return found;
    this.#remove(domain);
    return undefined;
  }

  use(domain: string, now: number): void {
    const found = this.#policies.get(domain);
    if (!found) return;
    this.#policies.delete(domain);
    this.#policies.set(domain, { ...found, usedAt: now });
  }

  set(domain: string, policy: CachedPolicy): void {
    this.#remove(domain);
    this.#policies.set(domain, policy);
    this.#bytes += countBytes(domain, policy);
    for (const [oldest] of this.#policies) {
      if (this.#policies.size <= MOST_DOMAINS && this.#bytes <= MOST_BYTES) break;
      this.#remove(oldest);
    }
    this.#isChanged = true;
    this.#writing ??= this.#file ? this.#writeAll(this.#file) : undefined;
  }

  /** Resolves when the last change is in the file. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#endPause();
    await this.#writing;
  }

  #remove(domain: string): void {
    const policy = this.#policies.get(domain);
    if (!policy) return;
    this.#policies.delete(domain);
    this.#bytes -= countBytes(domain, policy);
  }

  #read(file: CacheFile): void {
    try {
      const { format, policies } = JSON.parse(readFileSync(file.path, 'utf8'));
      if (format !== FORMAT) return;
      for (const [domain, policy] of Object.entries(policies))
        if (isCachedPolicy(policy)) {
          this.#policies.set(domain, policy);
          this.#bytes += countBytes(domain, policy);
        }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') file.onError(error as Error);
    }
  }

  /** The first change is written at once. */
  async #writeAll(file: CacheFile): Promise<void> {
    while (this.#isChanged) {
      this.#isChanged = false;
      const policies = Object.fromEntries(this.#policies);
      await writeAtomically(file.path, JSON.stringify({ format: FORMAT, policies })).catch(file.onError);
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

/** After the clock was set back a policy stays: a policy that ends too early would let mail go unprotected. */
function isValid(policy: CachedPolicy, now: number): boolean {
  return now - policy.fetchedAt < lifetimeMs(policy);
}

export function lifetimeMs({ maxAgeSeconds }: StsPolicy): number {
  return Math.max(maxAgeSeconds * 1000, LEAST_AGE_MS);
}

function countBytes(domain: string, { mxPatterns }: StsPolicy): number {
  return mxPatterns.reduce((sum, { length }) => sum + length + 3, domain.length + ENTRY_BYTES);
}

function isCachedPolicy(value: unknown): value is CachedPolicy {
  const { id, mode, mxPatterns, maxAgeSeconds, fetchedAt, usedAt } = (value ?? {}) as Partial<CachedPolicy>;
  return (
    typeof id === 'string' &&
    (mode === 'enforce' || mode === 'testing' || mode === 'none') &&
    Array.isArray(mxPatterns) &&
    mxPatterns.every((pattern) => typeof pattern === 'string') &&
    [maxAgeSeconds, fetchedAt, usedAt].every(Number.isFinite)
  );
}
