/**
 * A generation: the processes that serve one policy. Also chooses the process for the next connection. Only data and a
 * pure choice: listeners.ts starts and ends generations.
 */
import { listCovers, makeBlockList } from '#crds/networks.ts';
import type { Listener, Policy } from '#crds/policyfile.ts';
import { makeRelaying } from '../listener/relaying.ts';
import type { Backoff } from '../task/backoff.ts';
import type { Materials } from '../task/materials.ts';
import type { FromListener, HopNotes, ListenerReports, ToListener } from '../task/messages.ts';
import type { TaskProcess } from '../task/process.ts';
import type { ClientCounts } from './clientcounts.ts';

/** The limit for clients outside the trusted networks, unless the policy sets another one. */
const STRANGER_CONNECTIONS = 50;
const REPORTED_DESTINATIONS = 10;

export interface Member {
  readonly process: TaskProcess<ToListener, FromListener>;
  readonly open: ClientCounts;
  readonly since: number;
  ready: boolean;
  /** True if another process replaces this one. */
  lost: boolean;
  reports: ListenerReports;
}

export interface ServedPort {
  readonly listener: Listener;
  readonly limitConnections: (client: string) => number;
  readonly countedAs: (client: string) => string;
  /** True if connections from this address begin with a PROXY header. */
  readonly isProxy: (address: string) => boolean;
}

export interface Generation {
  readonly policy: Policy;
  /** The settings of each port that are needed before a connection is passed on. */
  readonly ports: ReadonlyMap<number, ServedPort>;
  readonly backoff: Backoff;
  /** The contents of the objects that the policy names. */
  materials: Materials;
  members: Member[];
  /** Processes that could not be used any more before the generation was in service. They are replaced when it is. */
  readonly lostEarly: Member[];
  /** When the last session must end (monotonic clock). Undefined while in service. */
  endsAt: number | undefined;
}

export function describePorts({ inbound }: Policy): Map<number, ServedPort> {
  return new Map(
    inbound.listeners.map((listener) => {
      const proxies = makeBlockList(listener.proxyNetworks);
      const { isInTrustedNetwork, countedAs } = makeRelaying(listener.clients, inbound.acceptDomains);
      const isProxy = (address: string) => listCovers(proxies, address);
      const limitConnections = (client: string) =>
        inbound.limits.connectionsPerClient ??
        (isInTrustedNetwork(client) ? Number.POSITIVE_INFINITY : STRANGER_CONNECTIONS);
      return [listener.port, { listener, limitConnections, countedAs, isProxy }];
    }),
  );
}

export function countSessions(generation: Generation | undefined): number {
  return generation?.members.reduce((sum, { open }) => sum + open.total, 0) ?? 0;
}

/** The reports of all processes: each next hop once, and the filter failure of one process, if any has one. */
export function collectReports(generation: Generation | undefined): ListenerReports {
  const all = (generation?.members ?? []).map(({ reports }) => reports);
  return {
    logins: {
      refused: keepOne(all.flatMap(({ logins }) => logins.refused)),
      heldBack: keepOne(all.flatMap(({ logins }) => logins.heldBack)),
    },
    filterFailure: all.find(({ filterFailure }) => filterFailure !== null)?.filterFailure ?? null,
  };
}

function keepOne(all: HopNotes): HopNotes {
  return [...new Map(all.map((one) => [one.destination, one])).values()].slice(0, REPORTED_DESTINATIONS);
}

/** The ready process with the fewest connections. */
export function chooseMember<Some extends Pick<Member, 'ready' | 'open'>>({
  members,
}: {
  members: readonly Some[];
}): Some | undefined {
  const ready = members.filter((member) => member.ready);
  return ready.reduce<Some | undefined>(
    (best, member) => (best && best.open.total <= member.open.total ? best : member),
    undefined,
  );
}
