/**
 * The pairs of a relay: one for its host name, and if the policy wants them one for its names inside the cluster, those
 * for other host names, and one for the policy host of MTA-STS. Each pair is checked separately. Accepting or refusing a
 * pair is logged. The status shows the authority of the pair inside the cluster, because workloads verify the relay with
 * it. A pair that will be served next is only looked at.
 */
import { needsKeyPair } from '#crds/effective.ts';
import { certificatesIn, judgePair } from '#crds/keypair.ts';
import type { PodStatus } from '#crds/podstatus.ts';
import type { NamedPair, Policy } from '#crds/policyfile.ts';
import type { Log } from '../observe/log.ts';
import type { Files } from '../task/materials.ts';
import type { Pairs, PairText } from '../task/messages.ts';
import { CertificateInService, type MountedPair } from './certificate.ts';
import type { Inputs } from './inputs.ts';

export type CertificateStatus = Pick<
  PodStatus,
  | 'certificate'
  | 'certificateProblem'
  | 'internalCertificate'
  | 'internalCertificateProblem'
  | 'internalAuthority'
  | 'sniCertificates'
  | 'policyHostCertificate'
  | 'policyHostCertificateProblem'
  | 'nextCertificate'
>;

/** Listeners never get the pair of the policy host. */
export type PairsInService = Pairs & { readonly policyHost: PairText | null };

type SniCertificate = NonNullable<PodStatus['sniCertificates']>[number];
type Seen = ReturnType<CertificateInService['look']>;

/** Null unless the pair can be served as it is: a change to one with a fault would be for the worse. */
function judgeNext(next: Inputs['next'], hosts: readonly string[], now: Date): PodStatus['nextCertificate'] {
  const judged = next && judgePair(next.cert, next.key, hosts, now);
  return judged?.kind === 'usable' && judged.warning === null
    ? { ...judged.facts, secret: next?.secret ?? '' }
    : null;
}

function pairIn(files: Files): MountedPair {
  return { cert: files['tls.crt'], key: files['tls.key'] };
}

export class Certificates {
  readonly #log: Log;
  readonly #host = new CertificateInService();
  /** By Secret: that inside the cluster, and those for other host names. One that the policy no longer names stays. */
  readonly #bySecret = new Map<string, CertificateInService>();
  readonly #policyHost = new CertificateInService();
  #authority: string | null = null;
  #next: PodStatus['nextCertificate'] = null;

  constructor(log: Log) {
    this.#log = log;
  }

  get pairs(): PairsInService {
    const bySecret = [...this.#bySecret].flatMap(([secret, { pair }]) => (pair ? [[secret, pair]] : []));
    return {
      host: this.#host.pair,
      bySecret: Object.fromEntries(bySecret),
      policyHost: this.#policyHost.pair,
    };
  }

  /** Takes the mounted pairs if they are usable. True if there is a new pair. */
  look(inputs: Inputs, policy: Policy, now: Date): boolean {
    const hosts = [policy.hostname];
    this.#next = judgeNext(inputs.next, hosts, now);
    const seen = [
      this.#lookAt(this.#host, inputs, hosts, needsKeyPair(policy), now),
      ...this.#lookAtInternal(inputs, policy, now),
      ...policy.inbound.sniCertificates.map((one) => this.#lookAtSecret(one, inputs, now)),
      ...this.#lookAtPolicyHost(inputs, policy, now),
    ];
    return seen.some(({ kind }) => kind === 'taken');
  }

  #lookAtInternal(inputs: Inputs, { inbound: { internalTls } }: Policy, now: Date): Seen[] {
    if (internalTls === null) return [];
    const seen = this.#lookAtSecret(internalTls, inputs, now);
    // While a new pair is refused, the old pair stays in service, and so does its authority.
    if (seen.kind !== 'refused' || this.#authority === null)
      this.#authority = certificatesIn(inputs.materials.secrets[internalTls.secret]?.['ca.crt']);
    return [seen];
  }

  #lookAtSecret({ secret, names }: NamedPair, { materials }: Inputs, now: Date): Seen {
    const service = this.#bySecret.get(secret) ?? new CertificateInService();
    this.#bySecret.set(secret, service);
    return this.#lookAt(service, pairIn(materials.secrets[secret] ?? {}), names, true, now);
  }

  #lookAtPolicyHost({ materials }: Inputs, { policyHost }: Policy, now: Date): Seen[] {
    if (policyHost === null) return [];
    const files: Files = materials.secrets[policyHost.secret] ?? {};
    return [this.#lookAt(this.#policyHost, pairIn(files), policyHost.hosts, true, now)];
  }

  /** The status of the pairs under this policy. */
  status(policy: Policy | undefined, now: Date): CertificateStatus {
    const internalTls = policy?.inbound.internalTls ?? null;
    const internal = internalTls && this.#describe(internalTls, now);
    const policyHost = policy?.policyHost ?? null;
    return {
      certificate: policy ? this.#host.facts : null,
      certificateProblem: policy && needsKeyPair(policy) ? this.#host.problem([policy.hostname], now) : null,
      internalCertificate: internal?.certificate ?? null,
      internalCertificateProblem: internal?.problem ?? null,
      internalAuthority: internal && this.#authority,
      sniCertificates: (policy?.inbound.sniCertificates ?? []).map((one) => this.#describe(one, now)),
      policyHostCertificate: policyHost && this.#policyHost.facts,
      policyHostCertificateProblem: policyHost && this.#policyHost.problem(policyHost.hosts, now),
      nextCertificate: this.#next,
    };
  }

  #describe({ secret, names }: NamedPair, now: Date): SniCertificate {
    const service = this.#bySecret.get(secret);
    return {
      secret,
      names,
      certificate: service?.facts ?? null,
      problem: service?.problem(names, now) ?? null,
    };
  }

  #lookAt(
    service: CertificateInService,
    mounted: MountedPair,
    hosts: readonly string[],
    isWanted: boolean,
    now: Date,
  ): Seen {
    const seen = service.look(mounted, hosts, now);
    if (seen.kind === 'refused' && isWanted)
      this.#log('certificate_not_taken', { names: hosts, reason: seen.reason, message: seen.message });
    if (seen.kind !== 'taken') return seen;
    const { serial, notAfter, names } = seen.facts;
    const event = seen.first ? 'certificate_loaded' : 'certificate_replaced';
    this.#log(event, { serial, notAfter, names, warning: seen.warning });
    return seen;
  }
}
