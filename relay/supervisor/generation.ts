/**
 * The processes that serve one policy, and which of them gets the next connection. Data and a pure choice; listeners.ts
 * brings generations up and ends them.
 */
import { crc32 } from 'node:zlib';
import type { Policy } from '#crds/policyfile.ts';
import type { FromListener, ToListener } from '../messages.ts';
import type { Backoff } from './backoff.ts';
import type { ClientCounts } from './clientcounts.ts';
import type { TaskProcess } from './process.ts';

export interface Member {
  readonly process: TaskProcess<ToListener, FromListener>;
  readonly open: ClientCounts;
  readonly since: number;
  ready: boolean;
  /** Another process takes its place. */
  lost: boolean;
}

export interface Generation {
  readonly policy: Policy;
  readonly trusts: (client: string) => boolean;
  readonly backoff: Backoff;
  members: Member[];
  /** Milliseconds since the epoch at which its last session ends; undefined while in service. */
  endsAt: number | undefined;
}

export function sessionsOf(generation: Generation | undefined): number {
  return generation?.members.reduce((sum, { open }) => sum + open.total, 0) ?? 0;
}

/** The least busy process; always the same for a client whose messages are counted, so that the count is exact. */
export function chooseMember<Some extends Pick<Member, 'ready' | 'open'>>(
  { policy, members }: { policy: Policy; members: readonly Some[] },
  client: string,
): Some | undefined {
  const ready = members.filter((member) => member.ready);
  if (policy.inbound.limits.messagesPerClientPerMinute !== null) return ready[crc32(client) % ready.length];
  return ready.reduce<Some | undefined>(
    (best, member) => (best && best.open.total <= member.open.total ? best : member),
    undefined,
  );
}
