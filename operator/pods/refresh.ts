/**
 * A kubelet refreshes mounted files every 60 to 90 seconds by itself, and at once when the pod changes. Which pods to
 * touch: those that do not report the wanted policy, or not the newest certificate, or miss what the spec names, again
 * and again with growing pauses until they do, for a minute. The value of the annotation tells what it was touched for. Pure but for what it remembers.
 */
import type { PodStatus } from '#crds/podstatus.ts';
import { hashContent } from '#crds/policyfile.ts';
import { isBeyond, scaleOrder } from '#crds/scalefile.ts';
import { readIssue } from '../judge/issue.ts';
import { objectNames } from '../render/metadata.ts';
import type { PodView, World } from '../world.ts';

/** After these many milliseconds of disagreement a pod is touched once more. */
const ATTEMPTS_MS = [0, 1_500, 3_000, 6_000, 12_000, 30_000, 60_000];

interface Touch {
  readonly pod: PodView;
  readonly value: string;
}

export interface RefreshPlan {
  readonly touches: readonly Touch[];
  /** Milliseconds until another look is due, or undefined. */
  readonly lookAgainMs: number | undefined;
}

export class Refresher {
  /** Since when a pod disagrees with what is wanted, by pod and what is wanted. */
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
      const since = this.#since.get(key) ?? world.now;
      this.#since.set(key, since);
      const attempt = ATTEMPTS_MS.findLastIndex((after) => world.now - since >= after);
      const value = `${wanted}.${attempt}`;
      if (pod.refresh !== value) touches.push({ pod, value });
      const next = ATTEMPTS_MS[attempt + 1];
      if (next !== undefined)
        lookAgainMs = Math.min(lookAgainMs ?? Number.POSITIVE_INFINITY, since + next - world.now);
    }
    return { touches, lookAgainMs };
  }

  /** The MailRelay is gone. */
  forget(relayKey: string): void {
    const isItsPod = (key: string) =>
      key.startsWith(`${relayKey}-`) && /^\d+ /.test(key.slice(relayKey.length + 1));
    for (const key of this.#since.keys()) if (isItsPod(key)) this.#since.delete(key);
  }

  #forget(memory: string): void {
    for (const key of this.#since.keys()) if (key.startsWith(`${memory} `)) this.#since.delete(key);
  }
}

/** What the pod should report and does not, as a word; undefined when all is as wanted, or nothing is known of it. */
function wantedBy(world: World, { name, report, deleting }: PodView): string | undefined {
  if (!report || deleting || !world.policy) return undefined;
  const hash = hashContent(world.policy);
  const unserved = unservedIssues(world, report);
  const hasPolicy = report.policy.hash === hash || report.policy.refused?.hash === hash;
  const scale = hasScale(world, name, report) ? [] : [`scale-${world.relay.metadata.generation}`];
  const missing = [...scale, ...unserved, ...(lacksObjects(report) ? ['objects'] : [])];
  return hasPolicy && missing.length === 0 ? undefined : [hash, ...missing].join('.');
}

/** It leaves, or stays, as the spec has it. Where there is no queue nothing is said, and older relays say nothing. */
function hasScale({ policy, relay }: World, name: string, { evacuation }: PodStatus): boolean {
  if (evacuation === undefined || policy?.queue.mode !== 'Durable') return true;
  if (!isBeyond(name, relay.spec.replicas)) return evacuation === null;
  // An older relay cannot say which order it obeys.
  return (
    evacuation !== null && (evacuation.order ?? scaleOrder(relay.metadata)) === scaleOrder(relay.metadata)
  );
}

/** What the spec names often comes a little after the pod, out of the same folder; nobody tells us when. */
function lacksObjects({ certificateProblem, internalCertificateProblem, missing }: PodStatus): boolean {
  const isMissing = (problem: PodStatus['certificateProblem']) => problem?.reason === 'CertificateMissing';
  return isMissing(certificateProblem) || isMissing(internalCertificateProblem) || missing.length > 0;
}

/** Issues that the pod does not serve: cert-manager tells the end of what it issued, the pod that of what it serves. */
function unservedIssues(world: World, report: PodStatus): string[] {
  const { name } = world.relay.metadata;
  const pairs = [
    [readIssue(world, name), report.certificate],
    [readIssue(world, objectNames.internalCertificate(name)), report.internalCertificate],
  ] as const;
  return pairs.flatMap(([issue, served]) =>
    issue?.notAfter === undefined || issue.notAfter === served?.notAfter ? [] : [issue.revision],
  );
}
