/**
 * The pairs of a relay: one for its host name, and if the policy wants them one for its names inside the cluster, those
 * for other host names, and one for the policy host of MTA-STS. Each pair is checked separately. Accepting or refusing a
 * pair is logged. The status shows the authority of the pair inside the cluster, because workloads verify the relay with
 * it. A pair that will be served next is only looked at, and one inside the cluster may wait for its turn (publication.ts).
 */

import { AUTHORITY_LENGTH } from '#crds/certificatestatus.ts';
import { needsKeyPair } from '#crds/effective.ts';
import { certificatesIn, judgePair } from '#crds/keypair.ts';
import type { PodStatus } from '#crds/podstatus.ts';
import type { NamedPair, Policy } from '#crds/policyfile.ts';
import type { Log } from '../observe/log.ts';
import type { Clocks } from '../task/clock.ts';
import type { Files } from '../task/materials.ts';
import type { Pairs, PairText } from '../task/messages.ts';
import { CertificateInService, type MountedPair } from './certificate.ts';
import type { Inputs } from './inputs.ts';
import { InternalAuthority } from './internalauthority.ts';

export type CertificateStatus = Pick<
  PodStatus,
  | 'certificate'
  | 'certificateProblem'
  | 'internalCertificate'
  | 'internalCertificateProblem'
  | 'internalAuthority'
  | 'nextInternalCertificate'
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

/** No more than the status can tell, because only that is published. */
function readAuthority(files: Files): string | null {
  return certificatesIn(files['ca.crt'])?.slice(0, AUTHORITY_LENGTH) ?? null;
}

export class Certificates {
  readonly #log: Log;
  readonly #host = new CertificateInService();
  /** By Secret: that inside the cluster, and those for other host names. One that the policy no longer names stays. */
  readonly #bySecret = new Map<string, CertificateInService>();
  readonly #policyHost = new CertificateInService();
  readonly #authority: InternalAuthority;
  /** The last log line of a pair that waits. */
  #waitTold = '';
  #next: PodStatus['nextCertificate'] = null;

  /** `authorityMs`: how long clients get to read of a new authority. */
  constructor(log: Log, authorityMs?: number, clocks?: Clocks) {
    this.#log = log;
    this.#authority = new InternalAuthority(authorityMs, clocks);
  }

  /** True if a look would find more than the last one, although no file has changed. */
  isDue(): boolean {
    return this.#authority.isDue();
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
    if (internalTls === null) {
      this.#authority.forget();
      return [];
    }
    const { secret, names } = internalTls;
    const files = inputs.materials.secrets[secret] ?? {};
    const authority = readAuthority(files);
    const service = this.#serviceFor(secret);
    const pair = { served: service.pair, mounted: pairIn(files), authority, names };
    if (this.#authority.look(pair, inputs.authorities).kind === 'wait') {
      service.wait();
      this.#logWaiting();
      return [];
    }
    const seen = this.#lookAtSecret(internalTls, inputs, now);
    this.#authority.keep(seen.kind, service.pair, authority);
    return [seen];
  }

  /** Once for each pair, and once more when its time is known. */
  #logWaiting(): void {
    const { serial, names, follows } = this.#authority.next ?? {};
    const told = `${serial} ${follows}`;
    if (told !== this.#waitTold) this.#log('certificate_waits', { serial, names, follows });
    this.#waitTold = told;
  }

  #lookAtSecret({ secret, names }: NamedPair, { materials }: Inputs, now: Date): Seen {
    const files = materials.secrets[secret] ?? {};
    return this.#lookAt(this.#serviceFor(secret), pairIn(files), names, true, now);
  }

  #serviceFor(secret: string): CertificateInService {
    const service = this.#bySecret.get(secret) ?? new CertificateInService();
    this.#bySecret.set(secret, service);
    return service;
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
      internalAuthority: internal && this.#authority.ofServed,
      nextInternalCertificate: internal && this.#authority.next,
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
