/**
 * A destination queue at rest, packed into one string. A relay may have very many destinations that cannot be reached,
 * each with one waiting message. As objects they would need more than twice the memory. Only MX destinations are
 * packed, because a policy names few hops.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Failure } from '#crds/failure.ts';
import type { Destination } from '../delivery/courier.ts';
import type { DestinationHealth } from './health.ts';
import type { Waiting } from './waiting.ts';

type MxDestination = Destination & { readonly kind: 'mx' };

/** A queue in which one message waits and nothing is under way. */
export interface RestingQueue {
  readonly destination: MxDestination;
  /** Its failure is that of the destination, or there is none. */
  readonly waiting: Pick<Waiting, 'id' | 'due' | 'failure' | 'isAway'>;
  readonly health: Readonly<DestinationHealth>;
  /** The time of the wake-up that is set. Infinity: none. */
  readonly wakeAt: number;
}

/** JSON of the values in a fixed order. A string is one object of the heap, and its numbers are short. */
export type PackedQueue = string;

/** What MX destinations of one route have in common. */
type Route = Omit<MxDestination, 'key' | 'name' | 'domain'>;

/** The id and the failure come first, so that they are found without unpacking. */
type Packed = readonly [
  id: string,
  failure: PackedFailure | null,
  isDeferred: 0 | 1,
  ...PackedNumbers,
  domain: string,
];
type PackedNumbers = [
  route: number,
  due: number,
  failures: number,
  answers: number,
  awayMs: number,
  pausedUntil: number,
  failedAt: number,
  failingSince: number | null,
  wakeAt: number | null,
  keepsMailUntil: number | null,
  isAway: 0 | 1,
  answeredAt: number,
];
type PackedFailure = readonly [
  text: string,
  cause: Failure['cause'],
  status: string,
  permanent: 0 | 1,
  others: Omit<Failure, 'text' | 'cause' | 'status' | 'permanent'>,
];

/** True if a message of the queue was deferred. */
export function hasFailure(queue: PackedQueue): boolean {
  return !queue.startsWith('null', queue.indexOf(',') + 1);
}

/** The id of the message that waits. */
export function readId(queue: PackedQueue): string {
  return queue.slice(2, queue.indexOf('"', 2));
}

export class QueuePacker {
  readonly #routes: Route[] = [];

  pack({ destination, waiting, health, wakeAt }: RestingQueue): PackedQueue {
    const packed: Packed = [
      waiting.id,
      health.failure ? packFailure(health.failure) : null,
      waiting.failure ? 1 : 0,
      this.#numberRoute(destination),
      waiting.due,
      health.failures,
      health.answers,
      health.awayMs,
      health.pausedUntil,
      health.failedAt,
      health.failingSince ?? null,
      Number.isFinite(wakeAt) ? wakeAt : null,
      Number.isFinite(health.keepsMailUntil) ? health.keepsMailUntil : null,
      waiting.isAway ? 1 : 0,
      health.answeredAt,
      destination.domain,
    ];
    return JSON.stringify(packed);
  }

  unpack(key: string, queue: PackedQueue): RestingQueue {
    const [id, packedFailure, isDeferred, ...others] = JSON.parse(queue) as Packed;
    const [route, due, failures, answers, awayMs, pausedUntil, failedAt, failingSince, ...last] = others;
    const [wakeAt, keepsMailUntil, isAway, answeredAt, domain] = last;
    const failure = packedFailure ? unpackFailure(packedFailure) : undefined;
    const health = { failures, answers, answeredAt, awayMs, pausedUntil, failedAt, failure };
    return {
      destination: { ...(this.#routes[route] as Route), key, name: domain, domain },
      waiting: {
        ...{ id, due },
        ...(isDeferred && failure ? { failure } : {}),
        ...(isAway ? { isAway: true } : {}),
      },
      health: {
        ...health,
        failingSince: failingSince ?? undefined,
        keepsMailUntil: keepsMailUntil ?? Number.POSITIVE_INFINITY,
      },
      wakeAt: wakeAt ?? Number.POSITIVE_INFINITY,
    };
  }

  #numberRoute({ key: _, name: __, domain: ___, ...route }: MxDestination): number {
    const known = this.#routes.findIndex((one) => isDeepStrictEqual(one, route));
    return known === -1 ? this.#routes.push(route) - 1 : known;
  }
}

function packFailure({ text, cause, status, permanent, ...others }: Failure): PackedFailure {
  return [text, cause, status, permanent ? 1 : 0, others];
}

function unpackFailure([text, cause, status, permanent, others]: PackedFailure): Failure {
  return { text, cause, status, permanent: permanent === 1, ...others };
}
