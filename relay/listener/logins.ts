/**
 * The logins of one listener: its mechanisms, and the result of each attempt. Every failed login gets the same answer,
 * so a client cannot learn whether a user exists. The guard of the process says when a password is checked, and how long the
 * answer to a wrong attempt waits (auth/guard.ts). Only called under TLS.
 */
import { randomBytes } from 'node:crypto';
import type { SMTPServerAuthentication } from 'smtp-server';
import { cutText } from '#crds/cut.ts';
import { passwordFault, passwordMatches } from '#crds/passwordhash.ts';
import type { Listener } from '#crds/policyfile.ts';
import { BEARER_REFUSED, isToken, oauthBearerToken } from '../auth/bearer.ts';
import type { LoginGuard } from '../auth/guard.ts';
import { type ScramFirst, scramFirst } from '../auth/scram.ts';
import { claimedSubject, TokenJudge } from '../auth/tokens.ts';
import { type Login, Users } from '../auth/users.ts';
import type { Log } from '../observe/log.ts';
import type { Clocks } from '../task/clock.ts';
import type { Counters } from '../task/counts.ts';
import type { Materials } from '../task/materials.ts';
import { trustFrom } from '../task/trust.ts';
import { countedAs, siteOf } from './clientnetwork.ts';
import type { Exchange, Said } from './exchange.ts';
import { REPLIES, type Reply } from './reply.ts';

/** The limit of a user name in the log. */
const LONGEST_NAME = 255;

export interface LoginDeps {
  readonly listener: Listener;
  readonly log: Log;
  readonly clocks: Clocks;
  readonly counters: Counters;
  /** One for all listeners of the process. */
  readonly guard: LoginGuard;
}

/** The result of a mechanism that the library knows. `data` is the 334 text after a refused token. */
export type Judged =
  | { kind: 'login'; login: Login }
  | { kind: 'refused'; reply: Reply }
  | { kind: 'tokenRefused'; data: Record<string, string> };
type ScramChallenge = Extract<ScramFirst, { kind: 'challenge' }>;
type Settled = Exclude<Judged, { kind: 'tokenRefused' }>;

type Shown = Pick<SMTPServerAuthentication, 'method' | 'username' | 'authzid' | 'password' | 'accessToken'>;

export interface LoginClient {
  readonly client: string;
  /** Aborts when the connection is closed or broken. */
  readonly ended: AbortSignal;
}

interface Attempt extends LoginClient {
  readonly mechanism: string;
  /** As the client said it, for the log. */
  readonly user: string;
}

export class Logins {
  readonly #deps: LoginDeps;
  readonly mechanisms: readonly string[];
  #users: Users = new Users({});
  #tokens: TokenJudge | undefined;

  constructor(deps: LoginDeps, materials: Materials) {
    this.#deps = deps;
    const { usersSecret, oauth } = deps.listener.clients;
    const takesPassword = usersSecret !== null || oauth?.acceptAsPassword === true;
    this.mechanisms = [
      ...(takesPassword ? ['PLAIN', 'LOGIN'] : []),
      ...(usersSecret === null ? [] : ['SCRAM-SHA-256']),
      ...(oauth === null ? [] : ['OAUTHBEARER', 'XOAUTH2']),
    ];
    this.use(materials);
  }

  /** Sets the contents for the next login. */
  use(materials: Materials): void {
    const { listener, log, clocks } = this.#deps;
    const { usersSecret, oauth } = listener.clients;
    this.#users = new Users(usersSecret === null ? {} : (materials.secrets[usersSecret] ?? {}));
    const { faults } = this.#users;
    if (faults.length > 0)
      log('users_not_taken', {
        listener: listener.name,
        users: faults,
        cure: 'write the line of mailrelay hash, and behind it nothing but addresses and domains',
      });
    if (!oauth) return;
    const { issuer, audience, subjects, keysConfigMap, trustConfigMap } = oauth;
    const keys = keysConfigMap && (materials.configMaps[keysConfigMap]?.['jwks.json'] ?? '');
    const trust = trustFrom(materials, trustConfigMap);
    this.#tokens = new TokenJudge({ issuer, audience, subjects, keys, trust }, clocks);
  }

  /** PLAIN, LOGIN and XOAUTH2: the library has parsed the client's responses. */
  async judge(shown: Shown, from: LoginClient): Promise<Judged> {
    const { method, username = '', authzid, password, accessToken } = shown;
    const attempt = { ...from, mechanism: method, user: username };
    if (!this.mechanisms.includes(method)) return { kind: 'refused', reply: REPLIES.authFailed };
    if (method !== 'XOAUTH2') {
      const secret = password ?? '';
      if (authzid && authzid !== username) return this.#judged(attempt, FOR_ANOTHER);
      if (this.#deps.listener.clients.oauth?.acceptAsPassword && isToken(secret))
        return this.#token(attempt, secret);
      return this.#password(attempt, secret);
    }
    const said = await this.#token(attempt, accessToken ?? '');
    const isRefusedToken = said.kind === 'refused' && said.reply === REPLIES.authFailed;
    return isRefusedToken ? { kind: 'tokenRefused', data: { status: '401', schemes: 'bearer' } } : said;
  }

  /** The mechanisms that the library does not know. */
  exchange(mechanism: string, from: LoginClient): Exchange | undefined {
    if (!this.mechanisms.includes(mechanism)) return undefined;
    if (mechanism === 'SCRAM-SHA-256') return this.#scram(from);
    return mechanism === 'OAUTHBEARER' ? this.#oauthBearer(from) : undefined;
  }

  /** RFC 5802: first message, challenge, final message, our proof as the last challenge, empty response. */
  #scram(from: LoginClient): Exchange {
    // Asked again for the proof: the Secret may change before it comes.
    const find = (user: string) => this.#users.find(user);
    let step: (response: string) => Promise<Said> = async (response) => {
      const first = scramFirst(decoded(response), randomBytes(18).toString('base64'), find);
      if (first.kind === 'unreadable') return { kind: 'refused', reply: REPLIES.authBadSyntax };
      if (first.kind === 'for another')
        return this.#judged({ ...from, mechanism: 'SCRAM-SHA-256', user: first.user }, FOR_ANOTHER);
      step = (final) => prove(first, final);
      return challenge(first.text);
    };
    const prove = async (first: ScramChallenge, response: string) => {
      let proof = '';
      const check = async () => {
        const final = first.finish(decoded(response));
        if (final.kind !== 'refused') proof = final.text;
        return final.kind !== 'refused';
      };
      const attempt = { ...from, mechanism: 'SCRAM-SHA-256', user: first.user };
      // With the challenge: the proof of another session is another one.
      const said = await this.#guess(attempt, `proof ${first.text} ${response}`, check, true);
      if (said.kind !== 'login') return said;
      step = async () => said;
      return challenge(proof);
    };
    return (response) =>
      response === '*' ? Promise.resolve({ kind: 'refused', reply: REPLIES.authAborted }) : step(response);
  }

  #oauthBearer(from: LoginClient): Exchange {
    let refusal: Said | undefined;
    return async (response) => {
      // The client has read the reason and answers with an empty line (RFC 7628 section 3.2.3).
      if (refusal) return refusal;
      if (response === '*') return { kind: 'refused', reply: REPLIES.authAborted };
      if (response === '') return { kind: 'challenge', text: '' };
      const token = oauthBearerToken(decoded(response));
      if (token === undefined) return { kind: 'refused', reply: REPLIES.authBadSyntax };
      const said = await this.#token({ ...from, mechanism: 'OAUTHBEARER', user: '' }, token);
      if (said.kind === 'login' || said.reply !== REPLIES.authFailed) return said;
      refusal = said;
      return { kind: 'challenge', text: BEARER_REFUSED };
    };
  }

  #password(attempt: Attempt, password: string): Promise<Settled> {
    const check = async () => {
      const { exists, hash } = this.#users.find(attempt.user);
      return (await passwordMatches(hash, password)) && exists && passwordFault(password) === undefined;
    };
    return this.#guess(attempt, `password ${password}`, check);
  }

  /** A password, or the proof of one. */
  async #guess(
    attempt: Attempt,
    shown: string,
    check: () => Promise<boolean>,
    isProof = false,
  ): Promise<Settled> {
    const { user: name, ended, client } = attempt;
    const source = this.#deps.listener.clients.usersSecret;
    const verdict = await this.#deps.guard.guess({
      client: countedAs(client),
      network: siteOf(client),
      user: { source, name },
      shown,
      isProof,
      ended,
      stored: () => this.#stored(name),
      check,
    });
    if (verdict.kind === 'gone') return ABORTED;
    if (verdict.kind === 'deaf') return DEAF;
    if (verdict.kind === 'full') return this.#judged(attempt, TOO_MANY);
    // What the Secret has at the moment of the verdict: nothing has happened since.
    const { exists, senders } = this.#users.find(name);
    if (verdict.kind === 'right')
      return this.#judged(attempt, { kind: 'right', login: { name, source, senders } });
    const why = exists ? 'wrong password' : 'unknown user';
    const said = this.#judged(attempt, {
      kind: 'wrong',
      reason: isProof ? 'wrong password or unknown user' : why,
    });
    await verdict.held;
    return verdict.isDeaf ? DEAF : said;
  }

  /** All that a check asks for. */
  #stored(name: string): string {
    const { exists, hash } = this.#users.find(name);
    const { iterations, salt, storedKey } = hash;
    return `${exists} ${iterations} ${salt.toString('base64')} ${storedKey.toString('base64')}`;
  }

  async #token(attempt: Attempt, token: string): Promise<Settled> {
    const { ended } = attempt;
    const user = { source: this.#issuer, name: claimedSubject(token) };
    const claim = { client: countedAs(attempt.client), user, ended };
    const settled = await this.#deps.guard.token(claim, token, () => this.#checkToken(token, ended));
    if (settled === 'deaf') return DEAF;
    if (settled.judged.kind === 'unavailable' && ended.aborted) return ABORTED;
    const said = this.#judged(attempt, settled.judged);
    await settled.wrong?.held;
    return settled.wrong?.isDeaf ? DEAF : said;
  }

  /** Counts the attempt, and logs the reason of a failure without telling the client. */
  #judged({ mechanism, client, user }: Attempt, checked: Checked): Settled {
    const { counters, log, listener } = this.#deps;
    counters.add('logins', `${mechanism},${checked.kind === 'right' ? 'accepted' : checked.kind}`);
    if (checked.kind === 'right') return { kind: 'login', login: checked.login };
    log('login_failed', {
      client,
      user: cutText(user, LONGEST_NAME),
      mechanism,
      listener: listener.name,
      reason: checked.reason,
    });
    const reply = checked.kind === 'unavailable' ? REPLIES.authUnavailable : REPLIES.authFailed;
    return { kind: 'refused', reply };
  }

  get #issuer(): string | null {
    return this.#deps.listener.clients.oauth?.issuer ?? null;
  }

  async #checkToken(token: string, ended: AbortSignal): Promise<Checked> {
    const verdict = await this.#tokens?.judge(token, ended);
    if (verdict?.kind === 'subject')
      return { kind: 'right', login: { name: verdict.subject, source: this.#issuer, senders: null } };
    if (verdict?.kind === 'refused') return { ...verdict, kind: 'wrong' };
    return { kind: 'unavailable', reason: verdict?.reason ?? '' };
  }
}

type Checked =
  | { kind: 'right'; login: Login }
  | { kind: 'wrong'; reason: string; isSigned?: boolean }
  | { kind: 'unavailable'; reason: string };

/** RFC 4616 section 2, RFC 5802 section 5.1: no user may act as another one. Nothing was checked, so it is no guess. */
const FOR_ANOTHER: Checked = { kind: 'wrong', reason: 'the user wants to act as another one' };
const TOO_MANY: Checked = { kind: 'unavailable', reason: 'too many logins at a time' };

const ABORTED: Settled = { kind: 'refused', reply: REPLIES.authAborted };
const DEAF: Settled = { kind: 'refused', reply: REPLIES.tooManyFailures };

function decoded(response: string): string {
  return Buffer.from(response, 'base64').toString();
}

function challenge(text: string): Said {
  return { kind: 'challenge', text: Buffer.from(text).toString('base64') };
}
