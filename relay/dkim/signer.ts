/**
 * DKIM for mail of authorized clients: finds the keys of the From domain and signs with all of them. Other mail is
 * never signed, because otherwise anybody could send in our name. A client that is limited to certain domains gets no
 * signature for another domain. If a key of the domain cannot be used, the message waits, because without its signature
 * it might be refused finally. A message that no key can sign is refused.
 */
import { type Failure, makeFailure } from '#crds/failure.ts';
import { matcherOf } from '#crds/patterns.ts';
import type { Policy } from '#crds/policyfile.ts';
import type { Log } from '../observe/log.ts';
import type { Loaded } from '../spool/spool.ts';
import type { Materials } from '../task/materials.ts';
import { type DkimKey, fromDomainOf, judgeKey, type KeyVerdict, keysFor, signMessage } from './dkim.ts';

/**
 * Header lines to put before the message, if there are any. Or the reason why the message cannot be sent, finally or
 * until a key is corrected.
 */
export type Signed =
  | { readonly kind: 'header'; readonly header: Buffer | null }
  | { readonly kind: 'failed'; readonly failure: Failure };

export type Signer = (message: Loaded & { kind: 'message' }) => Promise<Signed>;

const NONE: Signed = { kind: 'header', header: null };

export class DkimSigner {
  readonly #wanted: Policy['outbound']['dkim'];
  readonly #log: Log;
  #keys: DkimKey[] = [];
  readonly #judged = new WeakMap<DkimKey, KeyVerdict>();

  constructor({ outbound }: Policy, materials: Materials, log: Log) {
    this.#wanted = outbound.dkim;
    this.#log = log;
    this.use(materials);
  }

  /** True if any key has changed. */
  use({ secrets }: Materials): boolean {
    const before = this.#keys;
    this.#keys = this.#wanted.map(({ domain, selector, secret }) => ({
      domain,
      selector,
      pem: secrets[secret]?.['private.key'] ?? '',
    }));
    return this.#keys.some(({ pem }, index) => pem !== before[index]?.pem);
  }

  async sign({ id, record, open }: Loaded & { kind: 'message' }): Promise<Signed> {
    const { ours, senderDomains } = record;
    if (!ours || this.#keys.length === 0) return NONE;
    const domain = await fromDomainOf(open);
    const keys = domain === undefined ? [] : keysFor(this.#keys, domain);
    if (domain === undefined || keys.length === 0) return NONE;
    if (senderDomains && !matcherOf(senderDomains)(domain)) {
      this.#log('not_signed', { id, domain, reason: 'it is not among the senderDomains of the client' });
      return NONE;
    }
    for (const key of keys) {
      const judged = this.#judged.get(key) ?? judgeKey(key.pem);
      this.#judged.set(key, judged);
      if (judged.kind === 'unusable') {
        const text = `the key of ${key.selector}._domainkey.${key.domain} cannot be used: ${judged.reason}`;
        return { kind: 'failed', failure: makeFailure({ cause: 'local', status: '4.7.0', text }) };
      }
    }
    const signed = await signMessage(open, keys);
    if (signed.kind === 'signed') return { kind: 'header', header: signed.header };
    const text = `The message cannot be signed: ${signed.reason}`;
    return { kind: 'failed', failure: makeFailure({ cause: 'policy', status: '5.6.0', text }) };
  }
}
