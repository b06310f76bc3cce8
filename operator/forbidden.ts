/**
 * Writes that RBAC forbids to the operator, for example after somebody removed its roles. The statuses of the relays
 * would then stay old and green, so the operator reports that it is not ready. A quota or an admission webhook that
 * refuses one object concerns only its relay and does not count. A kind of write counts as forbidden until one of its
 * kind passes the authorizer: it succeeds, or the API server says that the object is gone or has changed. One that is
 * wanted still is tried again before COUNTS_MS are over. So one that is not tried any more counts no longer: its relay or
 * its namespace is gone, somebody has taken the change back, or it was an event.
 */
import type { Request } from './kube/client.ts';
import { isKubeError } from './kube/errors.ts';

/** The message of the authorizer. Admission plugins have other messages. */
const BY_RBAC = /is forbidden: User "[^"]*" cannot /;
/** Longer than the longest pauses of the queue and of a write that is refused, one after the other. */
const COUNTS_MS = 5 * 60_000;

interface Forbidden {
  readonly message: string;
  /** On the monotonic clock. */
  readonly until: number;
}

export class ForbiddenWrites {
  readonly #monotonic: () => number;
  readonly #kinds = new Map<string, Forbidden>();

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /** The answer to the first forbidden write; undefined if none is forbidden. */
  get message(): string | undefined {
    const now = this.#monotonic();
    return [...this.#kinds.values()].find(({ until }) => until > now)?.message;
  }

  succeeded(request: Request): void {
    if (this.#kinds.size > 0) this.#kinds.delete(describeWrite(request));
  }

  failed(request: Request, error: unknown): void {
    if (isKubeError(error, 'forbidden') && BY_RBAC.test(error.message))
      this.#kinds.set(describeWrite(request), {
        message: error.message,
        until: this.#monotonic() + COUNTS_MS,
      });
    // The API server looks for the object after it has asked the authorizer.
    if (isKubeError(error, 'notFound', 'conflict')) this.succeeded(request);
  }
}

/** Method, resource and subresource: `PATCH services`, `PATCH mailrelays/status`. */
function describeWrite({ method, path }: Request): string {
  const [, resource, , subresource] = /\/namespaces\/[^/]+\/([^/]+)(\/[^/]+)?(\/[^/]+)?$/.exec(path) ?? [];
  return `${method} ${resource ?? path}${subresource ?? ''}`;
}
