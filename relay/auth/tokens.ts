/**
 * Checks the tokens of one OpenID Connect issuer: signature, issuer, audience, time, and whether the subject is
 * allowed. Keys come from a mounted file, or by discovery over HTTPS only, and are cached for a while. An unreachable
 * issuer is the only temporary failure. A reason never contains a token.
 *
 * Tokens whose key is known wait for nothing. All others wait for the same download, each only as long as its client is
 * there: so what waits is bounded by the sessions, and nobody's tokens take a place from others.
 */
import { request } from 'node:https';
import {
  createLocalJWKSet,
  decodeJwt,
  errors,
  type JSONWebKeySet,
  type JWTHeaderParameters,
  type JWTPayload,
  jwtVerify,
} from 'jose';
import type { Clients } from '#crds/policyfile.ts';
import type { Clocks } from '../task/clock.ts';
import { answerTo, readBody } from '../task/httpanswer.ts';
import { ChainlessAgent } from '../task/leavechain.ts';
import { makeCa, type Trust } from '../task/trust.ts';

const KEYS_FOR_MS = 10 * 60_000;
/** An unknown key triggers a new download, but only once in this time, however many unknown keys arrive. */
const AGAIN_AFTER_MS = 30_000;
const REQUEST_MS = 5_000;
const ANSWER_BYTES = 1024 * 1024;
const CLOCK_TOLERANCE_SECONDS = 60;
/** Never `none`, and never a shared secret, because a public key could then be used as one. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];
/** The faults that the library looks for when the signature is verified: those of claims and time. */
const AFTER_THE_SIGNATURE: ReadonlySet<string> = new Set([
  errors.JWTClaimValidationFailed.code,
  errors.JWTExpired.code,
]);

export type TokenVerdict =
  | { kind: 'subject'; subject: string }
  /** `isSigned`: by a key of the issuer, so it is no guess. */
  | { kind: 'refused'; reason: string; isSigned: boolean }
  | { kind: 'unavailable'; reason: string };

export interface IssuerTerms extends Pick<NonNullable<Clients['oauth']>, 'issuer' | 'audience' | 'subjects'> {
  /** The text of a JWK set. null: discovery. */
  readonly keys: string | null;
  /** The authorities that verify the issuer. */
  readonly trust: Trust;
}

/** Nothing is verified. Empty if the token names nobody. */
export function claimedSubject(token: string): string {
  try {
    return decodeJwt(token).sub ?? '';
  } catch {
    return '';
  }
}

export class TokenJudge {
  readonly #terms: IssuerTerms;
  readonly #clocks: Clocks;
  #keys: JSONWebKeySet | undefined;
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #isFetching = false;
  readonly #waiting = new Set<(keys: Promise<JSONWebKeySet>) => void>();

  constructor(terms: IssuerTerms, clocks: Clocks) {
    this.#terms = terms;
    this.#clocks = clocks;
  }

  /** `ended` aborts when the connection is closed or broken. */
  async judge(token: string, ended: AbortSignal): Promise<TokenVerdict> {
    try {
      const payload = await this.#verified(token, ended);
      const { sub } = payload;
      if (sub === undefined) return refused('the token has no subject', true);
      return isAllowed(sub, this.#terms.subjects)
        ? { kind: 'subject', subject: sub }
        : refused(`subject ${sub} is not allowed`, true);
    } catch (error) {
      if (error instanceof errors.JOSEError) return refused(error.code, AFTER_THE_SIGNATURE.has(error.code));
      if (error instanceof IssuerUnavailable) return { kind: 'unavailable', reason: error.message };
      return refused('the token cannot be read', false);
    }
  }

  async #verified(token: string, ended: AbortSignal): Promise<JWTPayload> {
    const { issuer, audience } = this.#terms;
    const options = {
      issuer,
      audience,
      algorithms: ALGORITHMS,
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: new Date(this.#clocks.wall()),
      requiredClaims: ['exp'],
    };
    const findKey = async (header: JWTHeaderParameters) =>
      chooseKey(await this.#keysFor(header.kid, ended), header);
    const { payload } = await jwtVerify(token, findKey, options);
    return payload;
  }

  async #keysFor(kid: string | undefined, ended: AbortSignal): Promise<JSONWebKeySet> {
    if (this.#terms.keys !== null) return mounted(this.#terms.keys);
    const age = this.#clocks.monotonic() - this.#fetchedAt;
    const isKnown = this.#keys?.keys.some((key) => key?.kid === kid) ?? false;
    if (this.#keys && age < (isKnown ? KEYS_FOR_MS : AGAIN_AFTER_MS)) return this.#keys;
    if (!this.#isFetching) void this.#fetchForAll();
    return this.#fetched(ended);
  }

  async #fetchForAll(): Promise<void> {
    this.#isFetching = true;
    const keys = this.#fetch();
    await keys.catch(() => undefined);
    this.#isFetching = false;
    for (const resolve of this.#waiting) resolve(keys);
    this.#waiting.clear();
  }

  /** Of who has gone nothing is kept, however long the issuer takes. */
  #fetched(ended: AbortSignal): Promise<JSONWebKeySet> {
    const { promise, resolve, reject } = Promise.withResolvers<JSONWebKeySet>();
    const leave = () => {
      this.#waiting.delete(resolve);
      reject(new IssuerUnavailable('the client has gone'));
    };
    this.#waiting.add(resolve);
    if (ended.aborted) leave();
    ended.addEventListener('abort', leave, { once: true });
    return promise.finally(() => ended.removeEventListener('abort', leave));
  }

  async #fetch(): Promise<JSONWebKeySet> {
    const { issuer, trust } = this.#terms;
    const found = await getJson(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, trust);
    const { issuer: said, jwks_uri: uri } = (found ?? {}) as { issuer?: unknown; jwks_uri?: unknown };
    if (said !== issuer || typeof uri !== 'string')
      throw new IssuerUnavailable(`${issuer} does not describe itself as that issuer`);
    const keys = (await getJson(uri, trust)) as JSONWebKeySet | null;
    if (!Array.isArray(keys?.keys)) throw new IssuerUnavailable(`${uri} has no keys`);
    this.#keys = keys;
    this.#fetchedAt = this.#clocks.monotonic();
    return keys;
  }
}

class IssuerUnavailable extends Error {}

function mounted(text: string): JSONWebKeySet {
  try {
    const keys = JSON.parse(text) as JSONWebKeySet;
    if (Array.isArray(keys.keys)) return keys;
  } catch {
    // Reported below.
  }
  throw new IssuerUnavailable('the mounted jwks.json is not a JWK set');
}

/** A key that cannot be read is a fault of the issuer, and no guess of the client. */
async function chooseKey(keys: JSONWebKeySet, header: JWTHeaderParameters): Promise<CryptoKey> {
  try {
    return await createLocalJWKSet(keys)(header);
  } catch (error) {
    if (error instanceof errors.JOSEError && !(error instanceof errors.JWKSInvalid)) throw error;
    throw new IssuerUnavailable(`a key of the issuer cannot be read: ${(error as Error).message}`);
  }
}

function isAllowed(subject: string, allowed: readonly string[]): boolean {
  return allowed.some((one) => (one.endsWith('*') ? subject.startsWith(one.slice(0, -1)) : subject === one));
}

function refused(reason: string, isSigned: boolean): TokenVerdict {
  return { kind: 'refused', reason, isSigned };
}

/** No redirects, and only HTTPS, because this answer decides who may relay. */
async function getJson(url: string, trust: Trust): Promise<unknown> {
  try {
    return JSON.parse(await getText(url, trust));
  } catch (error) {
    const why = error instanceof SyntaxError ? 'the answer is not JSON' : (error as Error).message;
    throw new IssuerUnavailable(`Cannot get ${url}: ${why}`);
  }
}

async function getText(url: string, trust: Trust): Promise<string> {
  if (!url.startsWith('https://')) throw new Error('not an https URL');
  const signal = AbortSignal.timeout(REQUEST_MS);
  // A new connection, because a kept connection may have been verified with another trust.
  const asked = request(url, { agent: new ChainlessAgent(), ...makeCa(trust) });
  asked.end();
  try {
    const answer = await answerTo(asked, signal);
    if (answer.statusCode !== 200) throw new Error(`status ${answer.statusCode}`);
    const body = await readBody(answer, ANSWER_BYTES, signal);
    return body.toString();
  } finally {
    asked.destroy();
  }
}
