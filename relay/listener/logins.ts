/**
 * The logins of one listener: its mechanisms, and the result of each attempt. Every failed login gets the same answer,
 * so a client cannot learn whether a user exists. Attempts are counted, and the answers to wrong ones are delayed. Only called
 * under TLS.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SMTPServerAuthentication } from 'smtp-server';
import { cutText } from '#crds/cut.ts';
import { passwordFault } from '#crds/passwordhash.ts';
import type { Listener } from '#crds/policyfile.ts';
import { BEARER_REFUSED, isToken, oauthBearerToken } from '../auth/bearer.ts';
import { PasswordChecks } from '../auth/passwordchecks.ts';
import { scramFirst } from '../auth/scram.ts';
import { type Attempt as Counted, LoginThrottle, type Outcome } from '../auth/throttle.ts';
import { TokenJudge } from '../auth/tokens.ts';
import { type Login, Users } from '../auth/users.ts';
import type { Log } from '../observe/log.ts';
import type { Clocks } from '../task/clock.ts';
import type { Counters } from '../task/counts.ts';
import type { Materials } from '../task/materials.ts';
import { trustFrom } from '../task/trust.ts';
import type { Exchange, Said } from './exchange.ts';
import { REPLIES, type Reply } from './reply.ts';

/** The limit of a user name in memory and log. */
const LONGEST_NAME = 255;
const WAIT_STEP_MS = 500;
/** Checks of tokens at a time. A slow issuer makes them long, and they go on without their sessions. */
const MOST_TOKENS = 500;

export interface LoginDeps {
  readonly listener: Listener;
  readonly log: Log;
  readonly clocks: Clocks;
  readonly counters: Counters;
  /** The client name under which failures are counted. */
  readonly countedAs: (client: string) => string;
}

/** The result of a mechanism that the library knows. `data` is the 334 text after a refused token. */
export type Judged =
  | { kind: 'login'; login: Login }
  | { kind: 'refused'; reply: Reply }
  | { kind: 'tokenRefused'; data: Record<string, string> };

type Shown = Pick<SMTPServerAuthentication, 'method' | 'username' | 'password' | 'accessToken'>;

export interface LoginClient {
  readonly client: string;
  /** Aborts when the session ends. */
  readonly session: AbortSignal;
}

interface Attempt extends LoginClient {
  readonly mechanism: string;
  /** As the client said it, for the log. */
  readonly user: string;
  /** The user whose failures count. Undefined: a token, which names nobody before it is verified. */
  readonly guessed: string | undefined;
}

export class Logins {
  readonly #deps: LoginDeps;
  readonly #throttle: LoginThrottle;
  readonly mechanisms: readonly string[];
  #users: Users = new Users({});
  #tokens: TokenJudge | undefined;
  readonly #checks = new PasswordChecks();
  #tokensUnderWay = 0;

  constructor(deps: LoginDeps, materials: Materials) {
    this.#deps = deps;
    this.#throttle = new LoginThrottle(deps.clocks.monotonic);
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
  async judge({ method, username = '', password, accessToken }: Shown, from: LoginClient): Promise<Judged> {
    const user = cutText(username, LONGEST_NAME);
    const attempt = { ...from, mechanism: method, user, guessed: undefined };
    if (!this.mechanisms.includes(method)) return { kind: 'refused', reply: REPLIES.authFailed };
    if (method !== 'XOAUTH2') {
      const secret = password ?? '';
      return this.#deps.listener.clients.oauth?.acceptAsPassword && isToken(secret)
        ? this.#settled(attempt, () => this.#checkToken(secret))
        : this.#settled({ ...attempt, guessed: user }, () => this.#checkPassword(username, secret));
    }
    const said = await this.#settled(attempt, () => this.#checkToken(accessToken ?? ''));
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
    let step: (response: string) => Promise<Said> = async (response) => {
      // The Secret may change before the proof comes.
      const users = this.#users;
      const first = scramFirst(decoded(response), randomBytes(18).toString('base64'), (user) =>
        users.find(user),
      );
      if (first.kind === 'unreadable') return { kind: 'refused', reply: REPLIES.authBadSyntax };
      step = (final) => prove(first, users, final);
      return challenge(first.text);
    };
    const prove = async (
      first: Extract<ReturnType<typeof scramFirst>, { kind: 'challenge' }>,
      users: Users,
      response: string,
    ) => {
      const user = cutText(first.user, LONGEST_NAME);
      const attempt = { ...from, mechanism: 'SCRAM-SHA-256', user, guessed: user };
      let proof = '';
      const said = await this.#settled(attempt, async () => {
        const final = first.finish(decoded(response));
        if (final.kind === 'refused') return { kind: 'wrong', reason: 'wrong password or unknown user' };
        proof = final.text;
        return { kind: 'right', login: { name: first.user, senders: users.find(first.user).senders } };
      });
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
      const attempt = { ...from, mechanism: 'OAUTHBEARER', user: '', guessed: undefined };
      const said = await this.#settled(attempt, () => this.#checkToken(token));
      if (said.kind === 'login' || said.reply !== REPLIES.authFailed) return said;
      refusal = said;
      return { kind: 'challenge', text: BEARER_REFUSED };
    };
  }

  /**
   * Gives the result to the client: a wrong one after the delay. Counts the attempt, and logs the reason of a failure
   * without telling the client.
   */
  async #settled(
    attempt: Attempt,
    check: () => Promise<Checked>,
  ): Promise<Exclude<Judged, { kind: 'tokenRefused' }>> {
    const { client, guessed: user, session } = attempt;
    const counted = await this.#throttle.begin({ client: this.#deps.countedAs(client), user, session });
    if (!counted)
      return { kind: 'refused', reply: session.aborted ? REPLIES.authAborted : REPLIES.tooManyFailures };
    let outcome: Outcome = 'unavailable';
    try {
      const checked = await check();
      outcome = checked.kind;
      return this.#judged(attempt, checked);
    } finally {
      counted.checked(outcome);
      if (outcome === 'wrong') await waitFor(counted);
    }
  }

  #judged({ mechanism, client, user }: Attempt, checked: Checked): Exclude<Judged, { kind: 'tokenRefused' }> {
    const { counters, log, listener } = this.#deps;
    counters.add('logins', `${mechanism},${checked.kind === 'right' ? 'accepted' : checked.kind}`);
    if (checked.kind === 'right') return { kind: 'login', login: checked.login };
    log('login_failed', { client, user, mechanism, listener: listener.name, reason: checked.reason });
    const reply = checked.kind === 'unavailable' ? REPLIES.authUnavailable : REPLIES.authFailed;
    return { kind: 'refused', reply };
  }

  async #checkPassword(user: string, password: string): Promise<Checked> {
    const { exists, hash, senders } = this.#users.find(user);
    const matches = await this.#checks.check(hash, password);
    if (matches === undefined) return TOO_MANY;
    if (matches && exists && passwordFault(password) === undefined)
      return { kind: 'right', login: { name: user, senders } };
    return { kind: 'wrong', reason: exists ? 'wrong password' : 'unknown user' };
  }

  async #checkToken(token: string): Promise<Checked> {
    if (this.#tokensUnderWay >= MOST_TOKENS) return TOO_MANY;
    this.#tokensUnderWay += 1;
    const verdict = await this.#tokens?.judge(token).finally(() => {
      this.#tokensUnderWay -= 1;
    });
    if (verdict?.kind === 'subject')
      return { kind: 'right', login: { name: verdict.subject, senders: null } };
    return { kind: verdict?.kind === 'unavailable' ? 'unavailable' : 'wrong', reason: verdict?.reason ?? '' };
  }
}

type Checked =
  | { kind: 'right'; login: Login }
  | { kind: 'wrong'; reason: string }
  | { kind: 'unavailable'; reason: string };

const TOO_MANY: Checked = { kind: 'unavailable', reason: 'too many logins at a time' };

/** In steps, because the delay ends when a login succeeds meanwhile. It goes on without the session. */
async function waitFor({ delayMs, answered }: Counted): Promise<void> {
  for (let waited = 0; waited < delayMs(); ) {
    const stepMs = Math.min(WAIT_STEP_MS, delayMs() - waited);
    await sleep(stepMs);
    waited += stepMs;
  }
  answered();
}

function decoded(response: string): string {
  return Buffer.from(response, 'base64').toString();
}

function challenge(text: string): Said {
  return { kind: 'challenge', text: Buffer.from(text).toString('base64') };
}
