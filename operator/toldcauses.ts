/**
 * Remembers which causes were told as events. A cause can come and go with each try, such as that of a pod that its node
 * refuses and the StatefulSet makes anew. It is told once until the relay is well again.
 */
import type { MailRelayStatus } from '#crds/status.ts';
import type { RelayEvent } from './kube/events.ts';
import { nameCause } from './report/events.ts';

export class ToldCauses {
  /** By the key of the MailRelay. */
  readonly #told = new Map<string, Set<string>>();

  /** The events that tell of something new. They count as told. */
  pick(key: string, { conditions = [] }: MailRelayStatus, events: readonly RelayEvent[]): RelayEvent[] {
    const told = this.#told.get(key) ?? new Set<string>();
    const fresh = events.filter((event) => !told.has(nameCause(event) ?? ''));
    const isWell = conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
    const causes = new Set([...(isWell ? [] : told), ...fresh.flatMap((event) => nameCause(event) ?? [])]);
    if (causes.size > 0) this.#told.set(key, causes);
    else this.forget(key);
    return fresh;
  }

  forget(key: string): void {
    this.#told.delete(key);
  }
}
