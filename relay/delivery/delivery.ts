/**
 * The courier of a relay: it finds routes by the policy, makes attempts hop by hop over SMTP, and remembers hops that
 * failed a moment ago. The router has one courier. In mode CutThrough the listener has one too.
 */
import type { Policy } from '#crds/policyfile.ts';
import type { Tracer } from '../observe/trace.ts';
import { monotonic } from '../task/clock.ts';
import type { Materials } from '../task/materials.ts';
import type { LoginsRefused } from '../task/messages.ts';
import { type AttemptDeps, attempt, type HopClient } from './attempt.ts';
import type { AttemptResult, Courier, Destination, NextHop, Parcel } from './courier.ts';
import { Discovery, type DiscoveryDeps } from './discovery.ts';
import { FailedHops } from './failedhops.ts';
import type { MailNames } from './names.ts';
import { mxHop, mxTerms } from './resolver.ts';
import { compileRoutes, type Route } from './route.ts';
import { SmtpClient } from './smtpclient.ts';
import type { TlsDiscovery } from './tlsfindings.ts';

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
  readonly onSession?: AttemptDeps['onSession'];
  /** Takes mail that ends here. Absent if no mail does. */
  readonly takeReport?: ((parcel: Parcel) => Promise<AttemptResult>) | undefined;
}

export interface OverSmtpDeps extends DiscoveryDeps {
  readonly tracer: Tracer;
  readonly onSession?: AttemptDeps['onSession'];
  readonly takeReport?: DeliveryDeps['takeReport'];
}

export class Delivery implements Courier {
  readonly #deps: DeliveryDeps;
  readonly #failedHops: FailedHops;
  readonly route: Route;

  constructor(deps: DeliveryDeps) {
    this.#deps = deps;
    this.#failedHops = new FailedHops(deps.clock);
    this.route = compileRoutes(deps.policy);
  }

  static overSmtp(policy: Policy, materials: Materials, deps: OverSmtpDeps): Delivery {
    const client = new SmtpClient(policy, materials, deps.tracer);
    const discovery = new Discovery(policy, materials, deps);
    const { names } = discovery;
    const { random } = Math;
    const { onSession, takeReport } = deps;
    const rest = { clock: monotonic, random, onSession, takeReport };
    return new Delivery({ policy, client, discovery, names, ...rest });
  }

  /** Who is asked about names of strangers. */
  get names(): MailNames {
    return this.#deps.names;
  }

  async deliver(destination: Destination, parcel: Parcel): Promise<AttemptResult> {
    if (destination.kind === 'local') return this.#takeReport(parcel);
    return attempt(destination, parcel, { ...this.#deps, failedHops: this.#failedHops });
  }

  get loginsRefused(): LoginsRefused {
    return this.#failedHops.refusals();
  }

  useMaterials(materials: Materials): (destination: Destination) => boolean {
    const isChanged = this.#deps.client.useMaterials(materials);
    this.#deps.discovery.useMaterials(materials);
    // A refused login may be correct now. The refused logins of other hops stay refused.
    this.#failedHops.forgive(isChanged);
    const { outbound } = this.#deps.policy;
    return (destination) => {
      if (destination.kind === 'local') return false;
      if (destination.kind === 'hops') return destination.hops.some(isChanged);
      return isChanged(mxHop(destination.domain, destination.domain, 0, mxTerms(destination, outbound)));
    };
  }

  /** Resolves when what was found of destinations is on disk. */
  close(): Promise<void> {
    this.#deps.client.close();
    return this.#deps.discovery.close();
  }

  #takeReport(parcel: Parcel): Promise<AttemptResult> {
    const { takeReport } = this.#deps;
    if (!takeReport) throw new Error('this process takes no TLS reports');
    return takeReport(parcel);
  }
}
