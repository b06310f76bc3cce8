/**
 * The courier of a relay: it finds routes by the policy, makes attempts hop by hop over SMTP, and remembers hops that
 * failed a moment ago. The router has one courier. In mode CutThrough the listener has one too.
 */
import type { Policy } from '#crds/policyfile.ts';
import { DnsResolver } from '../dns/resolver.ts';
import type { Tracer } from '../observe/trace.ts';
import { monotonic } from '../task/clock.ts';
import type { Materials } from '../task/materials.ts';
import type { LoginsRefused } from '../task/messages.ts';
import { attempt, type HopClient } from './attempt.ts';
import type { AttemptResult, Courier, Destination, NextHop, Parcel } from './courier.ts';
import { findDane } from './dane.ts';
import { FailedHops } from './failedhops.ts';
import { type MailNames, SYSTEM_NAMES } from './names.ts';
import { mxHop, mxTerms } from './resolver.ts';
import { type Route, routeOf } from './route.ts';
import { SmtpClient } from './smtpclient.ts';
import { NO_FINDINGS, type TlsDiscovery } from './tlsfindings.ts';

/** Implemented by smtpclient.ts. */
export interface DeliveryClient extends HopClient {
  /** Returns a test for the hops that the new contents concern. */
  useMaterials(materials: Materials): (hop: NextHop) => boolean;
  close(): void;
}

export interface DeliveryDeps {
  readonly policy: Policy;
  readonly client: DeliveryClient;
  readonly discovery: TlsDiscovery;
  readonly names: MailNames;
  readonly clock: () => number;
  readonly random: () => number;
}

/** DANE is looked up where the spec discovers it, and for a hop whose level needs it. Without DNSSEC it is never. */
function discoverBy({ outbound: { discover, resolver } }: Policy, dns: DnsResolver | null): TlsDiscovery {
  return {
    findDane: async (hop) =>
      dns && resolver?.trustAD && (discover.includes('DANE') || hop.tlsLevel === 'Dane')
        ? findDane(hop, dns)
        : NO_FINDINGS.dane,
    findSts: async () => NO_FINDINGS.sts,
  };
}

export class Delivery implements Courier {
  readonly #deps: DeliveryDeps;
  readonly #failedHops: FailedHops;
  readonly route: Route;

  constructor(deps: DeliveryDeps) {
    this.#deps = deps;
    this.#failedHops = new FailedHops(deps.clock);
    this.route = routeOf(deps.policy);
  }

  static overSmtp(policy: Policy, materials: Materials, tracer: Tracer): Delivery {
    const client = new SmtpClient(policy, materials, tracer);
    const { resolver } = policy.outbound;
    const dns = resolver && new DnsResolver({ ...resolver, clock: monotonic });
    const discovery = discoverBy(policy, dns);
    const names = dns ?? SYSTEM_NAMES;
    return new Delivery({ policy, client, discovery, names, clock: monotonic, random: Math.random });
  }

  deliver(destination: Destination, parcel: Parcel): Promise<AttemptResult> {
    return attempt(destination, parcel, { ...this.#deps, failedHops: this.#failedHops });
  }

  get loginsRefused(): LoginsRefused {
    return this.#failedHops.refusals();
  }

  useMaterials(materials: Materials): (destination: Destination) => boolean {
    const isChanged = this.#deps.client.useMaterials(materials);
    // A refused login may be correct now. The refused logins of other hops stay refused.
    this.#failedHops.forgive(isChanged);
    const { outbound } = this.#deps.policy;
    return (destination) =>
      destination.kind === 'hops'
        ? destination.hops.some(isChanged)
        : isChanged(mxHop(destination.domain, destination.domain, 0, mxTerms(destination, outbound)));
  }

  close(): void {
    this.#deps.client.close();
  }
}
