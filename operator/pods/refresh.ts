/**
 * Decides which pods the operator touches. A kubelet refreshes mounted files every 60 to 90 seconds by itself, and at
 * once when the pod changes. The operator touches a pod that does not report the wanted policy or the newest
 * certificate, or that lacks a Secret or ConfigMap of the spec. It repeats this with growing pauses for a minute. The
 * value of the annotation names the reason. Pure except for what it remembers.
 */
import { certificateSecretName } from '#crds/effective.ts';
import type { PodStatus } from '#crds/podstatus.ts';
import { hashContent } from '#crds/policyfile.ts';
import { isBeyond, scaleOrder } from '#crds/scalefile.ts';
import { readIssue } from '../judge/issue.ts';
import { findCertificateName } from '../records/certificates.ts';
import { objectNames } from '../render/metadata.ts';
import type { PodView, World } from '../world.ts';

/** A pod is touched when it has differed from what is wanted for these milliseconds. */
const ATTEMPTS_MS = [0, 1_500, 3_000, 6_000, 12_000, 30_000, 60_000];

interface Touch {
  readonly pod: PodView;
  /** The value of the annotation without the number of the attempt. */
  readonly wanted: string;
  readonly value: string;
}

export interface RefreshPlan {
  readonly touches: readonly Touch[];
  /** Milliseconds until the next look; undefined if none is needed. */
  readonly lookAgainMs: number | undefined;
}

export class Refresher {
  /** The time since which a pod differs, by pod and by what is wanted. */
  readonly #since = new Map<string, number>();

  plan(world: World): RefreshPlan {
    const touches: Touch[] = [];
    let lookAgainMs: number | undefined;
    for (const pod of [...world.pods, ...world.leaving]) {
      const wanted = wantedBy(world, pod);
      const memory = `${world.relay.metadata.namespace}/${pod.name}`;
      if (wanted === undefined) {
        this.#forget(memory);
        continue;
      }
      const key = `${memory} ${wanted}`;
      if (!this.#since.has(key)) this.#forget(memory);
      // The clock may be set back.
      const since = Math.min(this.#since.get(key) ?? world.now, world.now);
      this.#since.set(key, since);
      const attempt = ATTEMPTS_MS.findLastIndex((after) => world.now - since >= after);
      const value = `${wanted}.${attempt}`;
      if (pod.refresh !== value) touches.push({ pod, wanted, value });
      const next = ATTEMPTS_MS[attempt + 1];
      if (next !== undefined)
        lookAgainMs = Math.min(lookAgainMs ?? Number.POSITIVE_INFINITY, since + next - world.now);
    }
    return { touches, lookAgainMs };
  }

  /** Forgets a MailRelay that was deleted. */
  forget(relayKey: string): void {
    const isItsPod = (key: string) =>
      key.startsWith(`${relayKey}-`) && /^\d+ /.test(key.slice(relayKey.length + 1));
    for (const key of this.#since.keys()) if (isItsPod(key)) this.#since.delete(key);
  }

  #forget(memory: string): void {
    for (const key of this.#since.keys()) if (key.startsWith(`${memory} `)) this.#since.delete(key);
  }
}

/** A word for what the pod should report and does not; undefined if its report is as wanted, or if there is none. */
function wantedBy(world: World, { name, report, deleting }: PodView): string | undefined {
  if (!report || deleting || !world.policy) return undefined;
  const hash = hashContent(world.policy);
  const unserved = unservedIssues(world, report);
  const hasPolicy = report.policy.hash === hash || report.policy.refused?.hash === hash;
  const scale = hasScale(world, name, report) ? [] : [`scale-${world.relay.metadata.generation}`];
  const missing = [
    ...scale,
    ...unserved,
    ...(lacksObjects(report) ? ['objects'] : []),
    // The pod waits to read that the authority of its next certificate is published.
    ...(report.nextInternalCertificate?.follows === null ? ['authority'] : []),
  ];
  return hasPolicy && missing.length === 0 ? undefined : [hash, ...missing].join('.');
}

/** True if the pod leaves or stays as the spec wants. A relay without a queue and an older relay do not report this. */
function hasScale({ policy, relay }: World, name: string, { evacuation }: PodStatus): boolean {
  if (evacuation === undefined || policy?.queue.mode !== 'Durable') return true;
  if (!isBeyond(name, relay.spec.replicas)) return evacuation === null;
  // An older relay does not report the order that it follows.
  return (
    evacuation !== null && (evacuation.order ?? scaleOrder(relay.metadata)) === scaleOrder(relay.metadata)
  );
}

/** Secrets and ConfigMaps are often created a little after the pod, from the same folder. No watch reports them. */
function lacksObjects(report: PodStatus): boolean {
  const problems = [
    report.certificateProblem,
    report.internalCertificateProblem,
    ...(report.sniCertificates ?? []).map(({ problem }) => problem),
    report.policyHostCertificateProblem,
  ];
  return problems.some((one) => one?.reason === 'CertificateMissing') || report.missing.length > 0;
}

/**
 * Certificates that the pod does not serve yet: the notAfter that cert-manager reports differs from that of the pod.
 */
function unservedIssues(world: World, report: PodStatus): string[] {
  const { name } = world.relay.metadata;
  const served = certificateSecretName(name, world.relay.spec);
  const { sniCertificates = [] } = report;
  const pairs = [
    [readIssue(world, findCertificateName(world, served)), report.certificate],
    [
      readIssue(world, objectNames.internalCertificate(name)),
      report.nextInternalCertificate ?? report.internalCertificate,
    ],
    ...sniCertificates.map(({ secret, certificate }) => [readIssue(world, secret), certificate] as const),
    [readIssue(world, objectNames.policyHostCertificate(name)), report.policyHostCertificate],
  ] as const;
  return pairs.flatMap(([issue, served]) =>
    issue?.notAfter === undefined || issue.notAfter === served?.notAfter ? [] : [issue.revision],
  );
}
