/**
 * Writes that RBAC forbids to the operator itself, as after somebody took its roles away: its status would stay green and
 * old, so it says that it is not ready. A refusal of one object, by a quota or an admission webhook, is the affair of a
 * relay and not meant here. Each kind of write is forbidden until one of its kind succeeds.
 */
import type { Request } from './kube/client.ts';
import { isKubeError } from './kube/errors.ts';

/** The words of the authorizer, which no admission has. */
const BY_RBAC = /is forbidden: User "[^"]*" cannot /;

export class ForbiddenWrites {
  readonly #kinds = new Map<string, string>();

  /** What the first of them was answered; undefined where none is forbidden. */
  get message(): string | undefined {
    return this.#kinds.values().next().value;
  }

  succeeded(request: Request): void {
    if (this.#kinds.size > 0) this.#kinds.delete(describeWrite(request));
  }

  failed(request: Request, error: unknown): void {
    if (isKubeError(error, 'forbidden') && BY_RBAC.test(error.message))
      this.#kinds.set(describeWrite(request), error.message);
  }
}

/** Method, resource and subresource: `PATCH services`, `PATCH mailrelays/status`. */
function describeWrite({ method, path }: Request): string {
  const [, resource, , subresource] = /\/namespaces\/[^/]+\/([^/]+)(\/[^/]+)?(\/[^/]+)?$/.exec(path) ?? [];
  return `${method} ${resource ?? path}${subresource ?? ''}`;
}
