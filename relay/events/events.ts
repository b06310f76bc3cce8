/**
 * Connects the events with the process that has the queue: the spool, the Secret, and the trusted authorities. Also the
 * giver sends, while a pod leaves.
 */
import type { Policy } from '#crds/policyfile.ts';
import type { Log } from '../observe/log.ts';
import type { Spool } from '../spool/spool.ts';
import { monotonic, wall } from '../task/clock.ts';
import type { Counters } from '../task/counts.ts';
import type { Materials } from '../task/materials.ts';
import { rememberContext } from '../task/trustcontext.ts';
import { post } from './post.ts';
import { EventSender } from './sender.ts';
import { readKeys } from './signature.ts';

export type { EventSender } from './sender.ts';

interface EventsDeps {
  readonly policy: Policy;
  readonly spool: Spool;
  readonly log: Log;
  readonly counters: Counters;
  readonly materials: () => Materials;
}

/** Undefined if the policy tells nobody. Call this when no other process has the queue. */
export function openEvents({ policy, spool, log, counters, materials }: EventsDeps): EventSender | undefined {
  const { events, name, namespace } = policy;
  if (events === null) return undefined;
  const { url, secret, trustConfigMap } = events;
  const contextFor = rememberContext(trustConfigMap);
  return new EventSender({
    relay: { name, namespace },
    outbox: spool.outbox,
    readKeys: () => readKeys(materials().secrets[secret]?.['secret']),
    post: (body, headers, signal) => post(url, body, { headers, context: contextFor(materials()), signal }),
    log,
    count: (result, count) => counters.add('events', result, count),
    clock: monotonic,
    wall,
    random: Math.random,
  });
}
