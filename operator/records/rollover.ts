/**
 * The roll-over of a key that DNS publishes. Another tls.secretName asks for it: the second Secret gets a certificate,
 * the pods mount it beside the first one and tell its key, the records of both keys are published, DNS is seen to have
 * them, two times to live pass, and only then the pods serve it. So every copy of the records that a sender may still
 * have names the key that it meets.
 *
 * Nothing is remembered here: the StatefulSet says which Secret is served, the DNSEndpoint since when the next key is in
 * DNS (the ConfigMap of the policy, where a person publishes). An operator that starts in the middle goes on. Pure.
 */
import { certificateSecretName } from '#crds/effective.ts';
import { effectiveDns } from '#crds/effectivedns.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { areAllSeen } from '../judge/allseen.ts';
import type { KubeObject } from '../kube/client.ts';
import { objectNames } from '../render/metadata.ts';
import type { World } from '../world.ts';
import { listHostCertificates } from './certificates.ts';
import type { KeyPlan, Marked, RollOverStep } from './keyplan.ts';
import { servedKeys, toldNextKeys } from './keys.ts';
import { proveInDns } from './proof.ts';
import { findEndpoint, liveTtlSeconds } from './published.ts';
import { findServedSecret } from './servedsecret.ts';

type Observed = Pick<
  World,
  'relay' | 'objects' | 'pods' | 'leaving' | 'strangers' | 'lacking' | 'dns' | 'now'
>;

/** The pause between two look-ups of records that are not in DNS yet. */
const LOOK_AGAIN_MS = 30_000;
/** A time that is not noted yet stays for a minute, so that a note that somebody takes away is not written at each look. */
const STEADY_MS = 60_000;
/** While a DNSEndpoint is refused, its records live on, and the time until when moves. It is not noted more often than this. */
const REFUSED_MS = 3_600_000;

export function planKeys(world: Observed): KeyPlan {
  const plan = planServing(world);
  const isSettled =
    servedKeys(world).digests.length <= 1 && servedKeys(world).isComplete && toldNextKeys(world).length === 0;
  if (!effectiveDns(world.relay.spec).tlsa || isSettled) return { ...plan, former: [] };
  const others = listHostCertificates(world).map(({ secret }) => secret);
  return {
    ...plan,
    former: others.filter((secret) => secret !== plan.inService && secret !== plan.next?.secret),
  };
}

function planServing(world: Observed): Omit<KeyPlan, 'former'> {
  const { relay } = world;
  const wanted = certificateSecretName(relay.metadata.name, relay.spec);
  const served = findServedSecret(world);
  const isAtOnce = !effectiveDns(relay.spec).tlsa || wanted === undefined || served === undefined;
  if (isAtOnce || served === wanted) return { inService: wanted };
  const step = findStep(world, wanted);
  if (step.kind !== 'waiting') {
    const next = { secret: wanted, step };
    const isProven = step.kind === 'publishing' && step.proof.kind === 'proven';
    const since = nextWhole(world, STEADY_MS);
    return { inService: served, next, ...(isProven ? { published: { digest: step.digest, since } } : {}) };
  }
  const published = { digest: step.digest, since: step.since };
  const isDone = world.now >= step.until && isToldByAll(world, wanted, step.digest);
  return isDone
    ? { inService: wanted, published }
    : { inService: served, next: { secret: wanted, step }, published };
}

const nextWhole = ({ now }: Observed, stepMs: number) => Math.ceil(now / stepMs) * stepMs;

/** The relay as it is in service: with the Secret that its pods serve. */
export function withServedSecret(relay: MailRelay, { inService, next }: KeyPlan): MailRelay {
  if (!next || inService === undefined) return relay;
  return { ...relay, spec: { ...relay.spec, tls: { ...relay.spec.tls, secretName: inService } } };
}

/** The time until the next look at a roll-over that waits. */
export function nextLookMs({ next }: KeyPlan, now: number): number | undefined {
  if (next?.step.kind === 'publishing') return LOOK_AGAIN_MS;
  return next?.step.kind === 'waiting' && next.step.until > now ? next.step.until - now : undefined;
}

function findStep(world: Observed, secret: string): RollOverStep {
  const notes = findNotes(world);
  const note = readMark(notes, ANNOTATIONS.published);
  const awaited = readMark(notes, ANNOTATIONS.awaited);
  // Pods may still have the certificate of another Secret, if somebody has changed their mind.
  const told = toldNextKeys(world, secret);
  // Pods that are silent for a while take nothing back.
  const digest = told.length === 0 ? (note ?? awaited)?.digest : told[0];
  if (digest === undefined || told.length > 1) return { kind: 'issuing' };
  const steady = Math.floor(world.now / STEADY_MS) * STEADY_MS;
  const awaitedSince = awaited?.digest === digest ? awaited.since : steady;
  const proof = proveInDns(world, digest);
  const mark = [note, readWord(world, awaitedSince)].find((one) => one?.digest === digest);
  // A proof alone counts from when its note is seen: a look that lost the note would begin anew.
  if (proof.kind === 'unwritten' || !mark) return { kind: 'publishing', digest, since: awaitedSince, proof };
  const { since } = mark;
  const ttlMs = effectiveDns(world.relay.spec).ttlSeconds * 1_000;
  return { kind: 'waiting', digest, since, until: Math.max(since + 2 * ttlMs, longerCopiesUntil(world)) };
}

/** The word of a person about this key that does not count, because it is of a time before `since`. */
export function findEarlyWord(
  { relay }: Pick<World, 'relay'>,
  { digest, since }: Marked,
): number | undefined {
  const word = readMark(relay, ANNOTATIONS.published);
  return word?.digest === digest && isEarly(word, since) ? word.since : undefined;
}

/** The object with our own notes. Those of a DNSEndpoint come and go in one write with its records. */
function findNotes(world: Observed): KubeObject | undefined {
  return publishesTlsa(world.relay) ? findEndpoint(world) : findPolicyMap(world);
}

function findPolicyMap({ relay, objects }: Observed): KubeObject | undefined {
  return objects.get(`ConfigMap/${objectNames.policy(relay.metadata.name)}`);
}

/**
 * The word of a person, which stands for look-ups where the operator cannot make them. One from before the proof was
 * awaited is of an earlier roll-over to the same key. People write whole seconds.
 */
function readWord({ relay }: Observed, awaitedSince: number): Marked | undefined {
  const word = readMark(relay, ANNOTATIONS.published);
  return word && !isEarly(word, awaitedSince) ? word : undefined;
}

const isEarly = (word: Marked, since: number) => word.since < Math.floor(since / 1_000) * 1_000;

function readMark(object: Pick<KubeObject, 'metadata'> | undefined, annotation: string): Marked | undefined {
  const [digest = '', time = ''] = (object?.metadata.annotations?.[annotation] ?? '').split('@');
  // A person can write any time. No date has room for two times to live after the last one that there is.
  const since = /^\d{4}-/.test(time) ? Date.parse(time) : Number.NaN;
  return Number.isNaN(since) ? undefined : { digest, since };
}

/**
 * Until when senders may have copies that lived longer than those of today. It is noted twice, because without this note a key
 * would come into service too early: there may be no DNSEndpoint, and somebody may delete either object.
 */
function longerCopiesUntil(world: Observed): number {
  const { ttlSeconds } = effectiveDns(world.relay.spec);
  const marks = [findEndpoint(world), findPolicyMap(world)].map((one) =>
    Date.parse(one?.metadata.annotations?.[ANNOTATIONS.copiesUntil] ?? ''),
  );
  const liveMs = liveTtlSeconds(world) * 1_000;
  const shortened =
    liveMs > ttlSeconds * 1_000 ? nextWhole(world, Math.min(liveMs, REFUSED_MS)) + 2 * liveMs : 0;
  return Math.max(shortened, ...marks.filter((mark) => mark > world.now));
}

/** What has to be remembered: annotations of the DNSEndpoint, and of the ConfigMap of the policy. */
export interface Marks {
  readonly endpoint: Readonly<Record<string, string>>;
  readonly policy: Readonly<Record<string, string>>;
}

export function describeMarks(world: Observed, { next, published }: KeyPlan): Marks {
  const until = longerCopiesUntil(world);
  const copies = until > 0 ? { [ANNOTATIONS.copiesUntil]: new Date(until).toISOString() } : {};
  const awaited = next?.step.kind === 'publishing' && !published ? next.step : undefined;
  const note = { ...writeMark(ANNOTATIONS.published, published), ...writeMark(ANNOTATIONS.awaited, awaited) };
  return publishesTlsa(world.relay)
    ? { endpoint: { ...note, ...copies }, policy: copies }
    : { endpoint: copies, policy: { ...note, ...copies } };
}

function writeMark(annotation: string, mark: Marked | undefined): Record<string, string> {
  return mark ? { [annotation]: `${mark.digest}@${new Date(mark.since).toISOString()}` } : {};
}

/** True if external-dns brings the TLSA records into DNS; otherwise a person does. */
export function publishesTlsa({ spec }: MailRelay): boolean {
  return effectiveDns(spec).endpointTypes.includes('TLSA');
}

function isToldByAll(world: Observed, secret: string, digest: string): boolean {
  return (
    world.relay.spec.replicas > 0 &&
    areAllSeen(world) &&
    world.pods.every(({ report }) => {
      const next = report?.nextCertificate;
      return next?.secret === secret && next.publicKeySha256 === digest;
    })
  );
}
