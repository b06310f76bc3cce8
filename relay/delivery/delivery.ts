/**
 * The courier of a relay: it finds routes by the policy, makes attempts hop by hop over SMTP, and remembers hops that
 * failed a moment ago. The router has one courier. In mode CutThrough the listener has one too.
 */

import { describeFailure, isOfMaterials } from '#crds/failure.ts';
import type { Policy } from '#crds/policyfile.ts';
import type { ReportField } from '#crds/reportaddresses.ts';
import type { OutboundSession } from '#crds/sessions.ts';
import { verifiesPeer } from '#crds/tlslevel.ts';
import type { Tracer } from '../observe/trace.ts';
import { monotonic, wall } from '../task/clock.ts';
import type { KeptSecrets, Materials, RefusedLogins } from '../task/materials.ts';
import type { HopLogins, HopNotes } from '../task/messages.ts';
import type { Listed } from '../task/sessionlist.ts';
import { type AttemptDeps, attempt, findHops, type HopClient, type HopWay } from './attempt.ts';
import type {
  AttemptResult,
  Concerned,
  Courier,
  Destination,
  FoundProvider,
  NextHop,
  Parcel,
  Refusal,
} from './courier.ts';
import { Discovery, type DiscoveryDeps } from './discovery.ts';
import { FailedHops } from './failedhops.ts';
import { ADDRESSES_AT_ONCE } from './hopaddresses.ts';
import { type ChangedHops, printHop } from './hopsecrets.ts';
import type { MailNames } from './names.ts';
import { compileProviders, type Providers } from './providers.ts';
import { decodeRefused, encodeRefused } from './refusedlogins.ts';
import { findAddresses, mxHop, mxTerms } from './resolver.ts';
import { compileRoutes, type Route } from './route.ts';
import { SmtpClient } from './smtpclient.ts';
import { NO_FINDINGS, type TlsDiscovery } from './tlsfindings.ts';
import { decideTls } from './tlspolicy.ts';

/** Implemented by smtpclient.ts. */
export interface DeliveryClient extends HopClient {
  /** Returns a test for the hops that the new contents concern. */
  useMaterials(materials: Materials): ChangedHops;
  /** What a login to this hop is made of now. */
  contentsFor(hop: NextHop): Materials['secrets'];
  /** Hops that refuse the new contents of a Secret. */
  readonly secretsHeldBack: HopNotes;
  /** To next hops, as they are now. */
  readonly connections: readonly Listed<OutboundSession>[];
  close(): void;
}

export interface DeliveryDeps {
  readonly policy: Policy;
  readonly client: DeliveryClient;
  readonly discovery: TlsDiscovery;
  readonly names: MailNames;
  readonly clock: () => number;
  readonly wall: () => number;
  readonly random: () => number;
  /** For the process after this one. */
  readonly onRefused?: ((refused: RefusedLogins) => void) | undefined;
  readonly onSession?: AttemptDeps['onSession'];
  /** Takes mail that ends here. Absent if no mail does. */
  readonly takeReport?: ((parcel: Parcel, reports: ReportField) => Promise<AttemptResult>) | undefined;
}

export interface OverSmtpDeps extends DiscoveryDeps {
  readonly tracer: Tracer;
  readonly onSession?: AttemptDeps['onSession'];
  readonly takeReport?: DeliveryDeps['takeReport'];
  /** Of the router before this one. */
  readonly kept?: KeptSecrets;
  readonly onKept?: (kept: KeptSecrets) => void;
  readonly onRefused?: DeliveryDeps['onRefused'];
  /** The new contents of a Secret are in use for these destinations, after a trial. */
  readonly onTaken?: (isConcerned: Concerned) => void;
}

/** How many destinations a status names. */
const REPORTED = 10;

export class Delivery implements Courier {
  readonly #deps: DeliveryDeps;
  readonly #failedHops: FailedHops;
  readonly route: Route;
  readonly findProvider: Courier['findProvider'];

  constructor(deps: DeliveryDeps) {
    this.#deps = deps;
    this.#failedHops = new FailedHops(deps.clock, () => this.#tellRefused());
    this.route = compileRoutes(deps.policy);
    const providers = compileProviders(deps.policy.outbound.providers);
    this.findProvider = providers && ((destination) => findProvider(destination, providers, deps));
  }

  static overSmtp(policy: Policy, materials: Materials, deps: OverSmtpDeps): Delivery {
    const client = new SmtpClient(policy, materials, deps.tracer, deps.kept);
    const discovery = new Discovery(policy, materials, deps);
    const { names } = discovery;
    const { random } = Math;
    const { onSession, onRefused, takeReport, log } = deps;
    const rest = { clock: monotonic, wall, random, onSession, onRefused, takeReport };
    const delivery = new Delivery({ policy, client, discovery, names, ...rest });
    client.beginTrials({
      findWay: (hop) => delivery.#findWay(hop),
      onKept: (kept) => deps.onKept?.(kept),
      onTaken: (isTaken, hop) => {
        log('secret_taken', { hop: printHop(hop) });
        deps.onTaken?.(delivery.#forgive(isTaken));
      },
      onRefused: (hop, failure) =>
        log('secret_held_back', { hop: printHop(hop), reason: describeFailure(failure) }),
    });
    return delivery;
  }

  /** Who is asked about names of strangers. */
  get names(): MailNames {
    return this.#deps.names;
  }

  async deliver(destination: Destination, parcel: Parcel): Promise<AttemptResult> {
    if (destination.kind === 'local') return this.#takeReport(parcel, destination.reports);
    return attempt(destination, parcel, { ...this.#deps, failedHops: this.#failedHops });
  }

  /** Takes over what the process before knew. Call this before the first delivery, with the contents that it may use. */
  rememberRefused(refused: RefusedLogins): void {
    const { smartHosts, routes } = this.#deps.policy.outbound;
    const hops = [...smartHosts, ...routes.flatMap((route) => route.hosts ?? [])];
    for (const { hop, refusal } of decodeRefused(refused, hops, this.#deps))
      this.#failedHops.restore(hop, refusal);
    // What was left out is forgotten.
    this.#tellRefused();
  }

  findRefusal(destination: Destination): Refusal | undefined {
    return destination.kind === 'hops' ? this.#failedHops.findRefusal(destination.hops) : undefined;
  }

  get logins(): HopLogins {
    const refused = this.#failedHops.refusals().slice(0, REPORTED);
    return { refused, heldBack: this.#deps.client.secretsHeldBack.slice(0, REPORTED) };
  }

  get connections(): readonly Listed<OutboundSession>[] {
    return this.#deps.client.connections;
  }

  useMaterials(materials: Materials): Concerned {
    const isChanged = this.#deps.client.useMaterials(materials);
    this.#deps.discovery.useMaterials(materials);
    return this.#forgive(isChanged);
  }

  /** A refused login of these hops may be correct now. What waits for another reason keeps its schedule. */
  #forgive(isChanged: ChangedHops): Concerned {
    this.#failedHops.forgive(isChanged);
    const { outbound } = this.#deps.policy;
    return (destination, failure) => {
      const isConcerned = (hop: NextHop) => isChanged(hop, failure) && this.#needsMaterials(hop);
      if (destination.kind === 'local' || (failure && !isOfMaterials(failure))) return false;
      if (destination.kind === 'hops') return destination.hops.some(isConcerned);
      return isConcerned(mxHop(destination.domain, destination.domain, 0, mxTerms(destination, outbound)));
    };
  }

  /** A level below Verify asks no authority, unless a policy of the domain raises it. */
  #needsMaterials(hop: NextHop): boolean {
    const { credentialsSecret, clientCertificateSecret, socksProxy, tlsLevel, mxOf } = hop;
    const secrets = [credentialsSecret, clientCertificateSecret, socksProxy?.credentialsSecret ?? null];
    const mayBeRaised = mxOf !== undefined && this.#deps.policy.outbound.discover.includes('MTASTS');
    return secrets.some((name) => name !== null) || verifiesPeer(tlsLevel) || mayBeRaised;
  }

  /** How a delivery would connect now. Undefined: it would wait. */
  async #findWay(hop: NextHop): Promise<{ way: HopWay; addresses: readonly string[] } | undefined> {
    const { discovery, names } = this.#deps;
    const decision = decideTls(hop, { ...NO_FINDINGS, dane: await discovery.findDane(hop) });
    const found = await findAddresses(hop, names);
    if (decision.kind === 'wait' || found.kind === 'none') return undefined;
    const { policy } = decision;
    return { way: { hop, policy }, addresses: found.addresses.slice(0, ADDRESSES_AT_ONCE) };
  }

  /** Resolves when what was found of destinations is on disk. */
  close(): Promise<void> {
    this.#deps.client.close();
    return this.#deps.discovery.close();
  }

  #tellRefused(): void {
    this.#deps.onRefused?.(encodeRefused(this.#failedHops.refused, this.#deps));
  }

  #takeReport(parcel: Parcel, reports: ReportField): Promise<AttemptResult> {
    const { takeReport } = this.#deps;
    if (!takeReport) throw new Error('this process takes no reports');
    return takeReport(parcel, reports);
  }
}

/** A destination without hosts has no provider. Its attempt says why there are none. */
async function findProvider(
  destination: Destination,
  providers: Providers,
  deps: DeliveryDeps,
): Promise<FoundProvider> {
  if (destination.kind !== 'mx') return { kind: 'none' };
  const resolved = await findHops(destination, deps);
  if (resolved.kind === 'none') return { kind: resolved.failure.permanent ? 'none' : 'unknown' };
  const provider = providers.findForAll(resolved.hops);
  return provider ? { kind: 'provider', provider } : { kind: 'none' };
}
