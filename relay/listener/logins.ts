/**
 * The logins of one listener: its mechanisms, and the result of each attempt. Every failed login gets the same answer,
 * so a client cannot learn whether a user exists. Attempts are counted, and delayed after failures. Only called under TLS.
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

interface Attempt {
  readonly mechanism: string;
  readonly client: string;
  /** As the client said it, for the log. */
  readonly user: string;
  /** The user whose failures count. Empty: a token, which names nobody before it is verified. */
  readonly guessed: string;
}

export class Logins {
  readonly #deps: LoginDeps;
  readonly #throttle: LoginThrottle;
  readonly mechanisms: readonly string[];
  #users: Users = new Users({});
  #tokens: TokenJudge | undefined;
  readonly #checks = new PasswordChecks();

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
  async judge({ method, username = '', password, accessToken }: Shown, client: string): Promise<Judged> {
    const user = cutText(username, LONGEST_NAME);
    const attempt = { mechanism: method, client, user, guessed: '' };
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
  exchange(mechanism: string, client: string): Exchange | undefined {
    if (!this.mechanisms.includes(mechanism)) return undefined;
    if (mechanism === 'SCRAM-SHA-256') return this.#scram(client);
    return mechanism === 'OAUTHBEARER' ? this.#oauthBearer(client) : undefined;
  }

  /** RFC 5802: first message, challenge, final message, our proof as the last challenge, empty response. */
  #scram(client: string): Exchange {
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
      const attempt = { mechanism: 'SCRAM-SHA-256', client, user, guessed: user };
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

  #oauthBearer(client: string): Exchange {
    let refusal: Said | undefined;
    return async (response) => {
      // The client has read the reason and answers with an empty line (RFC 7628 section 3.2.3).
      if (refusal) return refusal;
      if (response === '*') return { kind: 'refused', reply: REPLIES.authAborted };
      if (response === '') return { kind: 'challenge', text: '' };
      const token = oauthBearerToken(decoded(response));
      if (token === undefined) return { kind: 'refused', reply: REPLIES.authBadSyntax };
      const attempt = { mechanism: 'OAUTHBEARER', client, user: '', guessed: '' };
      const said = await this.#settled(attempt, () => this.#checkToken(token));
      if (said.kind === 'login' || said.reply !== REPLIES.authFailed) return said;
      refusal = said;
      return { kind: 'challenge', text: BEARER_REFUSED };
    };
  }

  /**
   * Gives the result to the client after the delay. Counts the attempt, and logs the reason of a failure without telling
   * the client.
   */
  async #settled(
    attempt: Attempt,
    check: () => Promise<Checked>,
  ): Promise<Exclude<Judged, { kind: 'tokenRefused' }>> {
    const counted = await this.#throttle.begin(this.#deps.countedAs(attempt.client), attempt.guessed);
    if (!counted) return { kind: 'refused', reply: REPLIES.tooManyFailures };
    let outcome: Outcome = 'unavailable';
    try {
      await waitFor(counted);
      const checked = await check();
      outcome = checked.kind;
      return this.#judged(attempt, checked);
    } finally {
      counted.ended(outcome);
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
    if (matches === undefined) return { kind: 'unavailable', reason: 'too many logins at a time' };
    if (matches && exists && passwordFault(password) === undefined)
      return { kind: 'right', login: { name: user, senders } };
    return { kind: 'wrong', reason: exists ? 'wrong password' : 'unknown user' };
  }

  async #checkToken(token: string): Promise<Checked> {
    const verdict = await this.#tokens?.judge(token);
    if (verdict?.kind === 'subject')
      return { kind: 'right', login: { name: verdict.subject, senders: null } };
    return { kind: verdict?.kind === 'unavailable' ? 'unavailable' : 'wrong', reason: verdict?.reason ?? '' };
  }
}

type Checked =
  | { kind: 'right'; login: Login }
  | { kind: 'wrong'; reason: string }
  | { kind: 'unavailable'; reason: string };

/** In steps, because the delay ends when a login succeeds meanwhile. */
async function waitFor({ delayMs }: Counted): Promise<void> {
  for (let waited = 0; waited < delayMs(); ) {
    const stepMs = Math.min(WAIT_STEP_MS, delayMs() - waited);
    await sleep(stepMs);
    waited += stepMs;
  }
}

function decoded(response: string): string {
  return Buffer.from(response, 'base64').toString();
}

function challenge(text: string): Said {
  return { kind: 'challenge', text: Buffer.from(text).toString('base64') };
}
