/**
 * Writes that RBAC forbids to the operator, for example after somebody removed its roles. The statuses of the relays
 * would then stay old and green, so the operator reports that it is not ready. A quota or an admission webhook that
 * refuses one object concerns only its relay and does not count. A kind of write counts as forbidden until one of its
 * kind passes the authorizer: it succeeds, or the API server says that the object is gone or has changed.
 */
import type { Request } from './kube/client.ts';
import { isKubeError } from './kube/errors.ts';

/** The message of the authorizer. Admission plugins have other messages. */
const BY_RBAC = /is forbidden: User "[^"]*" cannot /;

export class ForbiddenWrites {
  readonly #kinds = new Map<string, string>();

  /** The answer to the first forbidden write; undefined if none is forbidden. */
  get message(): string | undefined {
    return this.#kinds.values().next().value;
  }

  succeeded(request: Request): void {
    if (this.#kinds.size > 0) this.#kinds.delete(describeWrite(request));
  }

  failed(request: Request, error: unknown): void {
    if (isKubeError(error, 'forbidden') && BY_RBAC.test(error.message))
      this.#kinds.set(describeWrite(request), error.message);
    // The API server looks for the object after it has asked the authorizer.
    if (isKubeError(error, 'notFound', 'conflict')) this.succeeded(request);
  }
}

/** Method, resource and subresource: `PATCH services`, `PATCH mailrelays/status`. */
function describeWrite({ method, path }: Request): string {
  const [, resource, , subresource] = /\/namespaces\/[^/]+\/([^/]+)(\/[^/]+)?(\/[^/]+)?$/.exec(path) ?? [];
  return `${method} ${resource ?? path}${subresource ?? ''}`;
}
