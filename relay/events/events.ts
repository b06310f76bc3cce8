/**
 * Connects the events with the process that has the queue: the spool, the Secret, and the trusted authorities. Also the
 * giver sends, while a pod leaves.
 */
import { createSecureContext } from 'node:tls';
import type { Policy } from '#crds/policyfile.ts';
import type { Log } from '../observe/log.ts';
import type { Spool } from '../spool/spool.ts';
import { monotonic, wall } from '../task/clock.ts';
import type { Counters } from '../task/counts.ts';
import type { Materials } from '../task/materials.ts';
import { makeCa, trustFrom } from '../task/trust.ts';
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
  const contextFor = remember((now: Materials) =>
    createSecureContext(makeCa(trustFrom(now, trustConfigMap))),
  );
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

/** Makes a value anew only from something else: reading a hundred authorities takes longer than a request. */
function remember<From extends object, Value>(make: (from: From) => Value): (from: From) => Value {
  let last: { readonly from: From; readonly value: Value } | undefined;
  return (from) => {
    if (last?.from !== from) last = { from, value: make(from) };
    return last.value;
  };
}
