/**
 * The sessions of one listener: the rules and the identity of each session, and the handling of its commands and
 * messages. The library calls this file. The decisions are in policy.ts, relaying.ts and logins.ts. A message gets 250
 * only when it is durable, or when the next hop has accepted it.
 */
import type { TLSSocket } from 'node:tls';
import type {
  SMTPServerAddress,
  SMTPServerDataStream,
  SMTPServerOptions,
  SMTPServerSession,
} from 'smtp-server';
import type { StartTlsPolicy } from '#crds/policyfile.ts';
import type { TlsVersion } from '#crds/tlslevel.ts';
import { hasDomain, needsSmtpUtf8, withPostmasterDomain, withSenderDomain } from '../addresses/address.ts';
import { namesOfCertificate } from '../auth/certificatenames.ts';
import type { Login } from '../auth/users.ts';
import type { Materials } from '../task/materials.ts';
import { type Arrival, makeArrival, type SessionTls } from './arrival.ts';
import { makeAuthHandler } from './authhandler.ts';
import { ChangedAddresses, type ChangedMessage } from './changedaddresses.ts';
import { type LoginClient, Logins } from './logins.ts';
import { listOffered, type OfferedParameters } from './mailcommand.ts';
import {
  findRefusal,
  lineEndingsOfSession,
  NEVER_AVAILABLE,
  refusalOfLine,
  type SessionRules,
  starttlsOfSession,
  tlsFloorOfSession,
} from './policy.ts';
import { Refusals } from './refusals.ts';
import { findClientPolicy, type Identity, makeRelaying, type Relaying } from './relaying.ts';
import { REPLIES, Refusal, type Reply } from './reply.ts';
import { ReportAddress } from './reportaddress.ts';
import { compileSenderLogins, type FindOwnSenders, refusalOfMailFrom } from './senderlogins.ts';
import type { ListenerSessionsDeps } from './sessiondeps.ts';
import { FactsOfSessions } from './sessionfacts.ts';
import type { SaidRefusal, SessionNote, SessionParts } from './sessionparts.ts';
import { groupOfSession } from './tlsgroup.ts';

type Callback = (error?: Error | null, message?: string) => void;

export class ListenerSessions {
  readonly #options: ListenerSessionsDeps;
  readonly #relaying: Relaying;
  readonly #reportAddress: ReportAddress;
  readonly #findClientPolicy: ReturnType<typeof findClientPolicy>;
  readonly #facts = new FactsOfSessions();
  readonly #findOwnSenders: FindOwnSenders;
  readonly #offered: Readonly<Record<'inClear' | 'secure', OfferedParameters>>;
  readonly #refusals: Refusals;
  readonly #addresses: ChangedAddresses;
  readonly logins: Logins;

  constructor(options: ListenerSessionsDeps, materials: Materials) {
    const { policy, listener } = options;
    this.#options = options;
    this.#reportAddress = new ReportAddress(policy, options.countMessage);
    const { matches } = this.#reportAddress;
    const { inbound, addresses } = policy;
    const srsDomain = addresses.srs?.domain ?? null;
    this.#relaying = makeRelaying(listener.clients, inbound.acceptDomains, matches, srsDomain);
    this.#findOwnSenders = compileSenderLogins(listener.clients);
    this.#findClientPolicy = findClientPolicy(policy.inbound);
    this.#offered = {
      inClear: listOffered(policy, listener, false),
      secure: listOffered(policy, listener, true),
    };
    this.#refusals = new Refusals(options, policy.inbound.limits.errorsPerSession);
    this.#addresses = new ChangedAddresses(policy, options.maps, this.#reportAddress, options.isSuppressed);
    this.logins = new Logins(options, materials);
  }

  /** The lowest TLS version of a client's sessions. */
  findTlsFloor(client: string): TlsVersion {
    const { listener, policy } = this.#options;
    return tlsFloorOfSession(listener, this.#findClientPolicy(client), policy.inbound.minTlsVersion);
  }

  makeParts(client: string, session: SMTPServerSession): SessionParts {
    const { listener, tracer } = this.#options;
    const { name } = listener;
    const facts = this.#facts.of(session);
    facts.trace = tracer.session('inbound', { id: String(session.id), client, listener: name });
    const clientPolicy = this.#findClientPolicy(client);
    const starttls = starttlsOfSession(listener, clientPolicy);
    return {
      isTrusted: this.#relaying.isInTrustedNetwork(client),
      gate: ({ verb, line, secure }) => {
        const rules = this.#makeRules(starttls, secure);
        const loggedIn = this.#relaying.isLoggedIn(this.#readIdentity(session));
        const state = { secure, loggedIn, inTransaction: Boolean(session.envelope?.mailFrom) };
        const refusal = findRefusal(verb, rules, state) ?? refusalOfLine(verb, line, rules);
        if (verb === 'MAIL' && !secure) this.#offeredInClear(client, session, refusal);
        return refusal;
      },
      exchange: (mechanism) => this.logins.exchange(mechanism, this.#findLoginClient(session)),
      failed: (error) => this.#refusals.from(session, error).reply,
      refused: (said) => this.#refused(session, client, said),
      ended: () => this.#facts.end(session),
      describe: () => this.#describe(client, session),
      trace: facts.trace,
      lineEndings: lineEndingsOfSession(listener, clientPolicy),
    };
  }

  #describe(client: string, session: SMTPServerSession): SessionNote {
    const { tls, certificateNames, messages } = this.#facts.of(session);
    return {
      id: String(session.id),
      listener: this.#options.listener.name,
      client,
      helo: readHelo(session) || null,
      tls: tls && { version: tls.version, cipher: tls.cipher },
      login: this.#readIdentity(session).login?.name ?? null,
      certificate: certificateNames[0] ?? null,
      messages,
    };
  }

  handlers(): SMTPServerOptions {
    const { listener, counters } = this.#options;
    // On this listener only certificates may count as a login.
    const isLogin = listener.auth !== 'Disabled' && this.logins.mechanisms.length > 0;
    return {
      authMethods: [...this.logins.mechanisms],
      disabledCommands: [...NEVER_AVAILABLE, ...(isLogin ? [] : ['AUTH'])],
      onConnect: (_session, callback) => {
        counters.add('sessions', listener.name);
        callback();
      },
      onSecure: (socket, session, callback) => this.#onSecure(socket as TLSSocket, session, callback),
      onAuth: makeAuthHandler(this.logins, this.#refusals, (session) => this.#findLoginClient(session)),
      onMailFrom: (address, session, callback) => {
        void this.#refusals.answer(session, () => this.#refusalOfSender(address, session), callback);
      },
      onRcptTo: (address, session, callback) => {
        void this.#refusals.answer(session, () => this.#refusalOfRecipient(address, session), callback);
      },
      onData: (stream, session, callback) => {
        this.#onData(stream, session).then(
          (text) => callback(null, text),
          (error) => callback(this.#refusals.from(session, error)),
        );
      },
      onClose: (session) => {
        this.#facts.of(session).trace?.ended('closed');
        counters.add('sessions_closed', listener.name);
      },
    };
  }

  #refused(session: SMTPServerSession, client: string, said: SaidRefusal): Reply | undefined {
    const { listener, refusalLog } = this.#options;
    const { rule, end } = this.#refusals.sent(session, said.code, said.reason);
    const { line, code, text } = said;
    const tls = this.#facts.of(session).tls?.version ?? 'none';
    const login = this.#readIdentity(session).login?.name ?? null;
    const helo = readHelo(session);
    refusalLog.tell({ client, helo, listener: listener.name, tls, login, line, code, text, rule });
    return end;
  }

  #offeredInClear(client: string, session: SMTPServerSession, refusal: Reply | undefined): void {
    const { onPlaintext, counters, listener } = this.#options;
    if (refusal === REPLIES.mustStartTls) onPlaintext(client, readHelo(session), true);
    const facts = this.#facts.of(session);
    if (!facts.inClear) counters.add('plaintext_sessions', listener.name);
    facts.inClear = true;
  }

  #makeRules(starttls: StartTlsPolicy, secure: boolean): SessionRules {
    const { listener, hasPair } = this.#options;
    const offered = secure ? this.#offered.secure : this.#offered.inClear;
    return { starttls, auth: listener.auth, offered, hasPair: hasPair() };
  }

  #findLoginClient(session: SMTPServerSession): LoginClient {
    return { client: session.remoteAddress, ended: this.#facts.watchEnd(session) };
  }

  #readIdentity(session: SMTPServerSession): Identity {
    const { user, remoteAddress, secure } = session;
    const login = secure && user ? (user as unknown as Login) : null;
    return { client: remoteAddress, login, certificateNames: this.#facts.of(session).certificateNames };
  }

  #onSecure(socket: TLSSocket, session: SMTPServerSession, callback: Callback): void {
    const { counters, listener } = this.#options;
    const facts = this.#facts.of(session);
    const group = groupOfSession(socket.getSession()) ?? null;
    const cipher = socket.getCipher()?.name ?? 'unknown';
    const tls = { version: socket.getProtocol() ?? 'TLS', cipher, group };
    facts.tls = tls;
    if (listener.clients.certificates) {
      // Always called, because an error from a wrong signature stays in OpenSSL's queue and would end the session
      // later.
      const { subjectaltname, valid_to: end } = socket.getPeerCertificate();
      // A session that is resumed was verified when it began, and its ticket may be renewed again and again.
      const isProven = socket.authorized && Date.parse(end) > this.#options.clocks.wall();
      facts.certificateNames = isProven ? namesOfCertificate(subjectaltname) : [];
    }
    counters.add('tls_sessions', `${listener.name},${tls.version},${cipher},${group ?? 'unknown'}`);
    facts.trace?.tls({ version: tls.version, cipher, ...(group ? { group } : {}) });
    callback();
  }

  async #refusalOfSender(sender: SMTPServerAddress, session: SMTPServerSession) {
    const { address, args } = sender;
    const identity = this.#readIdentity(session);
    const ours = this.#relaying.mayRelay(identity);
    const { policy, countMessage, refusalOfMore } = this.#options;
    const { messagesPerClientPerMinute: perClient, messagesPerLoginPerMinute: perLogin } =
      policy.inbound.limits;
    // Programs on trusted clients often send an address without a domain, so authorized clients may do so.
    if (address !== '' && !hasDomain(address) && !ours) return REPLIES.unqualifiedSender;
    if (needsSmtpUtf8(address) && !session.envelope.smtpUtf8) return REPLIES.needsSmtpUtf8;
    const { client } = identity;
    const from = withSenderDomain(address, policy.hostname);
    const refusal =
      refusalOfMailFrom(this.#findOwnSenders(identity), from) ??
      this.#addresses.refusalOfSender(sender, ours);
    if (refusal) return refusal;
    if (perClient !== null && (await countMessage('client', this.#relaying.countedAs(client))) > perClient)
      return REPLIES.tooManyMessages;
    const login = this.#relaying.loginOf(identity);
    if (perLogin !== null && login !== undefined && (await countMessage('login', login)) > perLogin)
      return REPLIES.tooManyOfLogin;
    return refusalOfMore(Number(args ? args['SIZE'] : 0) || 0);
  }

  #refusalOfRecipient(recipient: SMTPServerAddress, session: SMTPServerSession) {
    const { address } = recipient;
    const identity = this.#readIdentity(session);
    const { inbound, hostname } = this.#options.policy;
    const { mailFrom } = session.envelope;
    const from = mailFrom === false ? '' : withSenderDomain(mailFrom.address, hostname);
    const to = withPostmasterDomain(address, inbound.acceptDomains);
    const refusal = this.#relaying.refusalOfRecipient(identity, from, to);
    if (refusal) return refusal;
    if (needsSmtpUtf8(address) && !session.envelope.smtpUtf8) return REPLIES.needsSmtpUtf8;
    const ours = this.#relaying.mayRelay(identity);
    return this.#addresses.refusalOfRecipient(recipient, session, ours);
  }

  async #onData(stream: SMTPServerDataStream, session: SMTPServerSession): Promise<string> {
    const { clocks, log, counters, listener, take, onPlaintext } = this.#options;
    const began = clocks.monotonic();
    const facts = this.#facts.of(session);
    const { tls } = facts;
    const identity = this.#readIdentity(session);
    const ours = this.#relaying.mayRelay(identity);
    const changed = this.#addresses.readMessage(session, ours);
    if (changed.kind === 'refused') {
      stream.resume();
      throw new Refusal(changed.reply);
    }
    const counted = this.#reportAddress.admit(stream, changed.reports, identity.client);
    if (counted) await counted;
    const arrival = this.#makeArrival(session, changed, { tls, identity, ours });
    const { id, bytes, reply } = await take(stream, arrival);
    const logged = { login: identity.login?.name, listener: listener.name, tls: tls?.version ?? 'none' };
    log('accepted', { id, ...arrival.logged, client: identity.client, ...logged, bytes });
    facts.messages += 1;
    facts.trace?.body(bytes);
    counters.add('accepted', listener.name);
    if (!tls) onPlaintext(identity.client, readHelo(session), false);
    counters.observe('accept_seconds', (clocks.monotonic() - began) / 1000);
    return reply;
  }

  #makeArrival(
    session: SMTPServerSession,
    changed: ChangedMessage,
    { tls, identity, ours }: { tls: SessionTls | null; identity: Identity; ours: boolean },
  ): Arrival {
    const { policy, listener, clocks } = this.#options;
    return makeArrival(session, changed, {
      policy,
      tls,
      receivedAt: clocks.wall(),
      login: identity.login?.name ?? null,
      filter: listener.filter,
      ownSenders: this.#findOwnSenders(identity),
      ours,
      senderDomains: listener.clients.senderDomains,
      reportAddress: this.#reportAddress,
      lineEndings: lineEndingsOfSession(listener, this.#findClientPolicy(identity.client)),
    });
  }
}

function readHelo(session: SMTPServerSession): string {
  return String(session.hostNameAppearsAs || '');
}
