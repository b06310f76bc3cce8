/**
 * The DNS of the system. c-ares reads /etc/resolv.conf when a resolver is made, and never again, but a laptop changes its
 * network and a node its name servers. So the file is looked at with a look-up, at most once in a few seconds, and a
 * changed file makes a new resolver. Without look-ups nothing happens. A file that is gone or empty is being replaced:
 * then the resolver before stays.
 */
import { Resolver } from 'node:dns/promises';
import { type BigIntStats, readFileSync, statSync } from 'node:fs';
import { monotonic } from '../task/clock.ts';

const LOOK_MS = 2_000;

export interface SystemDnsDeps {
  readonly path: string;
  readonly clock: () => number;
  /** Reads the file. */
  readonly makeResolver: () => Resolver;
}

export class SystemDns {
  readonly #deps: SystemDnsDeps;
  #resolver: Resolver | undefined;
  #text = '';
  #seen = '';
  #lookAt = Number.NEGATIVE_INFINITY;

  constructor(deps: SystemDnsDeps) {
    this.#deps = deps;
  }

  /** Take it for each look-up anew. */
  get resolver(): Resolver {
    this.#look();
    this.#resolver ??= this.#deps.makeResolver();
    return this.#resolver;
  }

  /** The content of the file. */
  get text(): string {
    this.#look();
    return this.#text;
  }

  #look(): void {
    const { clock, path } = this.#deps;
    const now = clock();
    if (now < this.#lookAt) return;
    this.#lookAt = now + LOOK_MS;
    const found = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (!found || found.size === 0n || identify(found) === this.#seen) return;
    // Before it is read: a change in between is seen with the next look.
    this.#seen = identify(found);
    this.#text = readText(path);
    this.#resolver = undefined;
  }
}

function identify({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join();
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

export const SYSTEM_DNS = new SystemDns({
  path: '/etc/resolv.conf',
  clock: monotonic,
  makeResolver: () => new Resolver(),
});
