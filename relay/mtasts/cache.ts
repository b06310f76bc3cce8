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
  /** In the order of use. Each policy as a text, as in the file: objects would take four times the memory. */
  readonly #policies = new Map<string, string>();
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
    const found = this.#find(domain);
    if (!found || isValid(found, now)) return found;
    this.#remove(domain);
    return undefined;
  }

  use(domain: string, now: number): void {
    const found = this.#find(domain);
    if (found) this.#put(domain, { ...found, usedAt: now });
  }

  set(domain: string, policy: CachedPolicy): void {
    this.#put(domain, policy);
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

  #read(file: CacheFile): void {
    try {
      const { format, policies } = JSON.parse(readFileSync(file.path, 'utf8'));
      if (format !== FORMAT) return;
      for (const [domain, policy] of Object.entries(policies))
        if (isCachedPolicy(policy)) this.#put(domain, policy);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') file.onError(error as Error);
    }
  }

  /** The first change is written at once. */
  async #writeAll(file: CacheFile): Promise<void> {
    while (this.#isChanged) {
      this.#isChanged = false;
      await writeAtomically(file.path, this.#write()).catch(file.onError);
      if (!this.#isClosing) await this.#pause();
    }
    this.#writing = undefined;
  }

  #write(): string {
    const policies = Array.from(this.#policies, ([domain, text]) => `${JSON.stringify(domain)}:${text}`);
    return `{"format":${FORMAT},"policies":{${policies.join(',')}}}`;
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

/** In the file. */
function countBytes(domain: string, text: string): number {
  return domain.length + text.length + 4;
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
