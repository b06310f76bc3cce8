/** Builds a World from the caches, what they lack, and the reports of the pods. Reads nothing from the API server. */
import { isDeepStrictEqual } from 'node:util';
import { effectivePolicy } from '#crds/effective.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import type { PodIdentity, PodStatus } from '#crds/podstatus.ts';
import type { Policy } from '#crds/policyfile.ts';
import { RULES } from '#crds/rules.ts';
import { isBeyond } from '#crds/scalefile.ts';
import { ANNOTATIONS, SERVING_LABEL } from '#crds/wellknown.ts';
import type { Caches } from './caches.ts';
import { wantsIssuer } from './judge/certificate.ts';
import { separatePods } from './judge/ownpods.ts';
import { isRolling } from './judge/pods.ts';
import { REVISION_LABEL } from './judge/refusals.ts';
import { filledBy, listFilledSecrets } from './judge/secrets.ts';
import { withServedResolver } from './judge/sidecar.ts';
import { findNotReadySince, findTrouble, hasRun, type PodState } from './judge/trouble.ts';
import type { KeptObject, KubeObject } from './kube/client.ts';
import { OPTIONAL, STATEFUL_SET } from './kube/kinds.ts';
import { separatePartial } from './kube/partial.ts';
import type { DnsView, KeyPlan } from './records/keyplan.ts';
import { planKeys, withServedSecret } from './records/rollover.ts';
import { POD_UID } from './render/statefulset.ts';
import type { FilledSecret, Lacking, PodView, UnlistedKind, World } from './world.ts';

export interface Sources {
  readonly caches: Pick<Caches, 'relay' | 'relaysIn' | 'objectsOf' | 'knows' | 'listUnlisted'>;
  readonly reportOf: (namespace: string, pod: string, uid: string) => PodStatus | undefined;
  readonly asked: (key: string) => boolean;
  /** What look-ups have shown of the TLSA records of the relay. */
  readonly dnsOf: (key: string) => DnsView | undefined;
  readonly now: () => number;
}

interface Asking extends Pick<Sources, 'reportOf'> {
  readonly now: number;
}

/** Undefined if the MailRelay is deleted or being deleted: its objects are deleted with it. */
export function gatherWorld(
  key: string,
  { caches, reportOf, asked, dnsOf, now }: Sources,
  lacking: Lacking = NOTHING_LACKING,
): World | undefined {
  const relay = caches.relay(key);
  if (!relay || relay.metadata.deletionTimestamp) return undefined;
  const { unlisted, readByName } = caches.listUnlisted(key);
  // After these lines nothing sees what is of an unlisted kind, or a pod of a stranger, but what tells of it.
  const { known, partial } = withFound(withoutKinds(caches.objectsOf(key), unlisted), lacking);
  const { objects, own, strangers } = separatePods(relay, known);
  const asking = { reportOf, now: now() };
  const set = objects.get(`${STATEFUL_SET.kind}/${relay.metadata.name}`);
  const pods = own.map((pod) => viewPod(relay.metadata.name, pod, mustNameItself(pod, set), asking));
  const seen = {
    relay,
    objects,
    partial,
    lacking,
    strangers,
    pods: pods.filter(({ name }) => !isBeyond(name, relay.spec.replicas)),
    leaving: pods.filter(({ name }) => isBeyond(name, relay.spec.replicas)),
    dns: dnsOf(key),
    now: asking.now,
  };
  const keys = planKeys(seen);
  const served = withServedSecret(relay, keys);
  const faults = listFaults(relay);
  return {
    ...seen,
    keys,
    relay: served,
    faults,
    policy: faults.length > 0 ? undefined : withServedResolver(findPolicy(served), seen),
    filled: filledByOthers(served, keys, caches),
    asked: asked(key),
    absentKinds: [...OPTIONAL.keys()]
      .filter((one) => !caches.knows(one) && !unlisted.some(({ kind }) => kind === one.kind))
      .map(({ kind }) => kind),
    unlisted,
    readByName,
  };
}

/** Faults of the spec by the rules of this version. */
export function listFaults({ spec }: MailRelay) {
  return RULES.filter((rule) => rule.tolerated === undefined && !rule.holds(spec));
}

export const NOTHING_LACKING: Lacking = { found: [], gone: [], unread: [] };

function withoutKinds(
  cached: ReadonlyMap<string, KeptObject>,
  unlisted: readonly UnlistedKind[],
): ReadonlyMap<string, KeptObject> {
  const names = new Set<string | undefined>(unlisted.map(({ kind }) => kind));
  return names.size === 0 ? cached : new Map([...cached].filter(([, { kind }]) => !names.has(kind)));
}

function withFound(cached: ReadonlyMap<string, KeptObject>, { found, gone }: Lacking) {
  if (found.length + gone.length === 0) return separatePartial(cached);
  const named = found.map((object) => [`${object.kind}/${object.metadata.name}`, object] as const);
  const there = [...cached].filter(([name]) => !gone.includes(name));
  return separatePartial(new Map([...there, ...named]));
}

/** By spec. The caches keep a spec that stays the same, and the hash of its policy is kept with the policy. */
const policies = new WeakMap<object, Policy>();

function findPolicy({ metadata, spec }: MailRelay): Policy {
  const known = policies.get(spec);
  if (known && known.name === metadata.name && known.namespace === metadata.namespace) return known;
  const policy = effectivePolicy(metadata, spec);
  policies.set(spec, policy);
  return policy;
}

/**
 * Those Secrets of this relay that other relays fill too. The objects of the others are looked at only for a Secret that
 * they share, because a namespace can have a thousand relays.
 */
function filledByOthers(
  relay: MailRelay,
  { next, former }: KeyPlan,
  caches: Sources['caches'],
): FilledSecret[] {
  if (!wantsIssuer(relay)) return [];
  const { namespace, uid } = relay.metadata;
  const own = new Set([...listFilledSecrets(relay), ...(next ? [next.secret] : []), ...former]);
  return caches
    .relaysIn(namespace)
    .filter((other) => other.metadata.uid !== uid && wantsIssuer(other))
    .flatMap((other) => filledBy(other, caches.objectsOf(`${namespace}/${other.metadata.name}`), own));
}

/**
 * True if the pod was told its uid. While pods are replaced, it may have an older template, and so it may under a
 * StatefulSet that was made anew around its pods.
 */
function mustNameItself({ metadata }: KubeObject, set: KubeObject | undefined): boolean {
  const { template } = (set?.['spec'] ?? {}) as {
    template?: { spec: { containers: readonly { env?: readonly { name: string }[] }[] } };
  };
  const { updateRevision } = (set?.['status'] ?? {}) as { updateRevision?: string };
  const revision = metadata.labels?.[REVISION_LABEL] ?? updateRevision;
  const isTold = template?.spec.containers.some(({ env = [] }) => env.some(({ name }) => name === POD_UID));
  return set !== undefined && isTold === true && !isRolling(set) && revision === updateRevision;
}

function viewPod(relay: string, pod: KubeObject, mustName: boolean, { reportOf, now }: Asking): PodView {
  const { name, namespace = '', uid = '', labels, annotations, deletionTimestamp } = pod.metadata;
  const status = (pod['status'] ?? {}) as PodState & { podIP?: string };
  const { nodeName } = (pod['spec'] ?? {}) as { nodeName?: string };
  const told = believed(reportOf(namespace, name, uid), { pod: name, uid, namespace, relay }, mustName);
  return {
    name,
    uid,
    ip: status.podIP,
    hasRun: hasRun(status) || told.report !== undefined,
    ready: status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false,
    deleting: deletionTimestamp !== undefined,
    serving: labels?.[SERVING_LABEL],
    trouble: findTrouble(status, { now, deletionTimestamp, node: nodeName }),
    notReadySince: findNotReadySince(status),
    refresh: annotations?.[ANNOTATIONS.refresh],
    ...told,
  };
}

/**
 * Takes a report only if its identity is that of the pod. The address may belong to another pod by now, even of another
 * relay. A pod whose template does not tell it its uid is believed without one, but nothing of that is published.
 */
function believed(
  report: PodStatus | undefined,
  asked: PodIdentity,
  mustName: boolean,
): Pick<PodView, 'report' | 'stranger'> {
  if (!report) return { report };
  const said = report.identity;
  if (!said)
    return mustName
      ? { report: undefined, stranger: 'something that does not say which pod it is' }
      : { report: withoutPublished(report) };
  if (isDeepStrictEqual({ ...said }, asked)) return { report };
  return { report: undefined, stranger: `pod ${said.pod} of MailRelay ${said.namespace}/${said.relay}` };
}

/** Without what goes into the ConfigMap of the clients or into DNS. */
function withoutPublished({ certificate, ...report }: PodStatus): PodStatus {
  const { publicKeySha256: _, ...facts } = certificate ?? {};
  return {
    ...report,
    certificate: certificate && (facts as typeof certificate),
    internalAuthority: null,
    nextInternalCertificate: null,
    nextCertificate: null,
    dkimKeys: undefined,
    servedPolicy: undefined,
  };
}
