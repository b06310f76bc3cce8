/**
 * The courier that speaks SMTP. It keeps connections and reuses them. It makes new connections by the TLS policy of the
 * hop, logs in if the hop needs it (connect.ts), and sends messages (transaction.ts). One attempt never offers a
 * message twice: if the hop may have taken the message, the result is a deferral.
 */
import { type Failure, makeFailure } from '#crds/failure.ts';
import { pickOfFamily } from '#crds/networks.ts';
import { domainOf } from '#crds/patterns.ts';
import type { Policy, Provider } from '#crds/policyfile.ts';
import type { Tracer } from '../observe/trace.ts';
import type { KeptSecrets, Materials } from '../task/materials.ts';
import type { HopNotes } from '../task/messages.ts';
import type { HopResult, HopWay } from './attempt.ts';
import { type AttemptBudget, OVERDUE } from './budget.ts';
import { type ConnectTerms, connect, type Opened, type Session } from './connect.ts';
import type { HopTls, Judgement, NextHop, Parcel, TlsReason } from './courier.ts';
import { type ChangedHops, HopSecrets, type Identity, isSameHop } from './hopsecrets.ts';
import { HopSessions } from './hopsessions.ts';
import { IdleConnections } from './idleconnections.ts';
import { Places } from './places.ts';
import { ProviderConnections } from './providerconnections.ts';
import { compileProviders, type Providers } from './providers.ts';
import { isUnfit, judgeOffers } from './requiretls.ts';
import { connectThrough, findTunnel } from './sockstunnel.ts';
import { isUnproven } from './tlscauses.ts';
import { fallBack } from './tlspolicy.ts';
import { sendOver } from './transaction.ts';
import { type TrialTerms, tryOut } from './trial.ts';
import { TrustAnchors } from './trustanchors.ts';
import { UnpipelinedHops } from './unpipelinedhops.ts';

/** For a message: its traced domain, and whether it requires TLS. */
type Terms = Pick<ConnectTerms, 'address' | 'policy' | 'budget'> & {
  readonly domain?: string | undefined;
  readonly requireTls?: boolean;
};

/** How a connection turned out, for people. */
export type Probed =
  | {
      readonly kind: 'session';
      readonly address: string;
      /** null: plain text. */
      readonly tls: HopTls | null;
      readonly policy: TlsReason;
      readonly judgement: Judgement;
    }
  /** `address` null: there is none. */
  | { readonly kind: 'failed'; readonly address: string | null; readonly failure: Failure };

export class SmtpClient {
  readonly #hostname: string;
  readonly #messagesPerConnection: number;
  readonly #providers: Providers | undefined;
  readonly #providerConnections = new ProviderConnections();
  readonly #secrets: HopSecrets;
  readonly #tracer: Tracer;
  #sessions = 0;
  readonly #open = new HopSessions();
  readonly #idle = new IdleConnections();
  readonly #places = new Places();
  readonly #anchors = new TrustAnchors();
  readonly #unpipelined = new UnpipelinedHops();
  #closed = false;

  constructor(policy: Policy, materials: Materials, tracer: Tracer, kept: KeptSecrets = {}) {
    const { hostname, outbound } = policy;
    this.#tracer = tracer;
    this.#hostname = hostname;
    this.#messagesPerConnection = outbound.limits.messagesPerConnection;
    this.#providers = compileProviders(outbound.providers);
    this.#secrets = new HopSecrets(policy, materials, kept);
  }

  /**
   * Sets the contents for new connections, or for a trial of them. Ends idle connections, connections under way and
   * deliveries before DATA if the contents that they use changed. Returns a test for the hops concerned.
   */
  useMaterials(materials: Materials): ChangedHops {
    const isChanged = this.#secrets.use(materials);
    this.#endChanged(isChanged);
    return isChanged;
  }

  /** From now on changed Secrets of configured hops are tried before they are used. */
  beginTrials({ findWay, onTaken, ...told }: TrialTerms): void {
    this.#secrets.begin({
      tryOut: (hop) => tryOut(hop, findWay, (terms) => this.#connect(hop, terms, this.#secrets.mounted)),
      onTaken: (hop) => {
        const isTaken = (one: NextHop) => isSameHop(one, hop);
        this.#endChanged(isTaken);
        onTaken(isTaken, hop);
      },
      ...told,
    });
  }

  contentsFor(hop: NextHop): Materials['secrets'] {
    return this.#secrets.contentsFor(hop);
  }

  get secretsHeldBack(): HopNotes {
    return this.#secrets.heldBack;
  }

  get connections() {
    return this.#open.list();
  }

  /**
   * Sends over an idle connection. If the server has ended that connection, the next one is tried. One that had to be cut
   * was silent for minutes: no time is left for others that may be as dead.
   */
  async resume(way: HopWay, parcel: Parcel, budget: AttemptBudget): Promise<HopResult | undefined> {
    const traced = this.#tracedDomain(parcel) !== undefined;
    while (!budget.isOver) {
      const kept = this.#idle.take(way, traced);
      const result = kept && (await this.#send(way, kept, parcel, budget));
      if (result?.kind === 'answered' || (result && isUnfit(result.failure))) return result;
      if (!kept || kept.connection.wasCut) return undefined;
    }
    return undefined;
  }

  async deliver(way: HopWay, address: string, parcel: Parcel, budget: AttemptBudget): Promise<HopResult> {
    const { requireTls } = parcel;
    const terms = { address, budget, domain: this.#tracedDomain(parcel), requireTls };
    const opened = await this.#openWay(way, terms);
    return opened.kind === 'session'
      ? this.#send(way, opened.session, parcel, budget)
      : { kind: 'unreachable', failure: opened.failure, hadSession: false };
  }

  /** Makes a connection as for a delivery, and ends it without sending. */
  async probe(way: HopWay, address: string, budget: AttemptBudget): Promise<Probed> {
    const opened = await this.#openWay(way, { address, budget });
    if (opened.kind === 'failed') return { kind: 'failed', address, failure: opened.failure };
    const { tls, policy, judgement, connection } = opened.session;
    connection.quit();
    return { kind: 'session', address, tls, policy, judgement };
  }

  async #openWay(way: HopWay, rest: Omit<Terms, 'policy'>): Promise<Opened> {
    const { hop, policy } = way;
    await this.#places.take(way, rest.budget);
    if (rest.budget.isOver) return unusable(hop, OVERDUE);
    const provider = this.#providers?.findFor(hop);
    const open = () => this.#openOrFallBack(hop, { ...rest, policy });
    const opened = await (provider ? this.#openCounted(provider, hop, rest.budget, open) : open());
    if (opened.kind === 'session') this.#places.add(way, opened.session.connection);
    return opened;
  }

  async #openCounted(
    provider: Provider,
    hop: NextHop,
    budget: AttemptBudget,
    open: () => Promise<Opened>,
  ): Promise<Opened> {
    const isOfProvider = (one: NextHop) => this.#providers?.findFor(one) === provider;
    const endIdle = () => this.#idle.end(isOfProvider, 1);
    const closed = await this.#providerConnections.open(provider, endIdle, budget);
    if (!closed) return unusable(hop, `provider ${provider.name} has all its connections in use`);
    const opened = await open();
    if (opened.kind === 'session') void opened.session.connection.closed.then(closed);
    else closed();
    return opened;
  }

  /** Only level Opportunistic makes a second connection, in plain text, after a broken handshake. */
  async #openOrFallBack(hop: NextHop, terms: Terms): Promise<Opened> {
    const { policy, budget } = terms;
    const first = await this.#connectAs(hop, terms);
    const isBroken = first.kind === 'failed' && first.brokenHandshake;
    if (!isBroken || !policy.mayFallBack || budget.isOver) return first;
    return this.#connect(hop, { ...terms, policy: fallBack(policy, first.failure) });
  }

  close(): void {
    this.#closed = true;
    this.#secrets.close();
    this.#places.close('the relay is stopping');
    this.#end(() => true, 'the relay is stopping');
  }

  /** A traced delivery uses a traced session, and no other delivery uses that session. */
  #tracedDomain({ to }: Parcel): string | undefined {
    return to.map(domainOf).find((domain) => this.#tracer.follows(domain));
  }

  /** A hop that refuses the old contents of a Secret is asked at once with the new ones. */
  async #connectAs(hop: NextHop, terms: Terms): Promise<Opened> {
    const identity = this.#secrets.identityFor(hop);
    const opened = await this.#connect(hop, terms, identity);
    if (opened.kind === 'session') this.#secrets.accepted(hop);
    else if (opened.refusesUs && this.#secrets.refused(hop, identity)) return this.#connect(hop, terms);
    return opened;
  }

  /**
   * The trust anchors that only this chain shows are trusted by a second connection, and no others. A hop that is unfit for
   * the message gets none: its proof would change nothing. If the second one does not judge the anchors, the next attempt
   * knows what both have shown: it may have met another machine, or a limit of connections.
   */
  async #connect(
    hop: NextHop,
    terms: Terms,
    identity: Identity = this.#secrets.identityFor(hop),
  ): Promise<Opened> {
    const known = this.#anchors.for(terms.policy);
    const first = await this.#connectOnce(hop, { ...terms, anchors: known }, identity);
    if (first.kind === 'session' || first.anchors === undefined || terms.budget.isOver) return first;
    if (terms.requireTls && first.unfit) return { ...first, failure: first.unfit };
    const { anchors } = first;
    const second = await this.#connectOnce(hop, { ...terms, anchors }, identity);
    if (second.kind === 'session') this.#anchors.keep(terms.policy, anchors);
    else if (!isUnproven(second.failure.cause))
      this.#anchors.keep(terms.policy, [...new Set([...anchors, ...(second.anchors ?? [])])]);
    return second;
  }

  async #connectOnce(
    hop: NextHop,
    terms: Terms & Pick<ConnectTerms, 'anchors'>,
    { contexts, logins }: Identity,
  ): Promise<Opened> {
    if (this.#closed) return unusable(hop, 'the relay is stopping');
    const made = contexts.for(terms.policy, terms.anchors);
    const source = pickOfFamily(hop.sourceAddresses, terms.address);
    const login = hop.credentialsSecret === null ? null : logins.for(hop.credentialsSecret);
    if (made.kind === 'unusable') return unusable(hop, made.reason);
    if (login?.kind === 'unusable') return unusable(hop, login.reason);
    // The mail never comes from another address than the spec says.
    if (source === undefined && hop.sourceAddresses.length > 0)
      return unusable(hop, `sourceAddresses has no address of the family of ${terms.address}`);
    const tunnel = findTunnel(hop, this.#secrets.mounted.logins);
    if (tunnel.kind === 'unusable') return unusable(hop, tunnel.reason);
    const { context } = made;
    const id = `out-${process.pid}-${++this.#sessions}`;
    const { domain = '' } = terms;
    const trace = this.#tracer.session('outbound', { id, hop: `${hop.host}:${hop.port}`, domain });
    const all = { ...terms, source, hostname: this.#hostname, context, login, trace };
    const connecting =
      tunnel.kind === 'none'
        ? connect(hop, all)
        : connectThrough(hop, { ...all, ...tunnel }, (socket) => connect(hop, { ...all, tunnel: socket }));
    return this.#open.add(hop, connecting);
  }

  async #send(way: HopWay, session: Session, parcel: Parcel, budget: AttemptBudget): Promise<HopResult> {
    const { hop } = way;
    const unfit = parcel.requireTls ? judgeOffers(hop, session.connection) : undefined;
    if (unfit) {
      // Another session may tell the offers that this one hides.
      this.#keep(way, session, unfit.permanent);
      return { kind: 'unreachable', failure: unfit, hadSession: false };
    }
    session.used += 1;
    this.#unpipelined.prepare(hop, session.connection);
    const isSent = this.#open.send(session);
    const sent = await sendOver(session.connection, hop, parcel, budget).finally(isSent);
    this.#unpipelined.learn(hop, session.connection);
    session.trace?.body(parcel.bytes);
    if (sent.kind === 'unsent') return { ...sent, kind: 'unreachable', hadSession: true };
    if (sent.reusable && !session.broken) this.#keep(way, session);
    else if (sent.inOrder && !session.broken) session.connection.quit();
    else session.connection.close();
    const { verdicts, tellsSender, mayTryAnother, atOnce } = sent;
    const { tls, judgement, tested } = session;
    const policy = { ...session.policy, ...tested };
    return { kind: 'answered', verdicts, tls, policy, judgement, tellsSender, mayTryAnother, atOnce };
  }

  #keep(way: HopWay, session: Session, isUsable = true): void {
    const provider = this.#providers?.findFor(way.hop);
    const most = provider?.limits.messagesPerConnection ?? this.#messagesPerConnection;
    const isWanted = provider !== undefined && this.#providerConnections.isWanted(provider);
    if (this.#closed || isWanted || !isUsable || session.used >= most) session.connection.quit();
    else this.#idle.keep(way, session);
  }

  #endChanged(which: (hop: NextHop) => boolean): void {
    this.#end(which, 'its login, certificate or trust bundle changed');
  }

  /** Ends connections to these hops. A connection that is sending a message is not used again afterwards. */
  #end(which: (hop: NextHop) => boolean, reason: string): void {
    this.#idle.end(which);
    this.#open.end(which, reason);
  }
}

/** A fault on our side: the hop was not asked. */
function unusable({ host, port }: NextHop, reason: string): Opened & { kind: 'failed' } {
  const failure = makeFailure({ cause: 'local', status: '4.7.0', text: `${host}:${port}: ${reason}` });
  return { kind: 'failed', failure, brokenHandshake: false, refusesUs: false };
}
