/**
 * DKIM for mail of those who may relay: finds the keys of the From domain and signs with all of them. Mail of strangers
 * is never signed, or anybody could send in our name. Where a key of the domain cannot be used the message waits: sent
 * without its signature it might be refused for good. A message that cannot be signed by any key is refused.
 */
import type { Readable } from 'node:stream';
import type { Policy } from '#crds/policyfile.ts';
import type { Materials } from '../materials.ts';
import type { QueueRecord } from '../spool/record.ts';
import { type DkimKey, fromDomainOf, judgeKey, type KeyVerdict, keysFor, signMessage } from './dkim.ts';
import type { Signed } from './parcel.ts';

const NONE: Signed = { kind: 'header', header: null };

export class DkimSigner {
  readonly #wanted: Policy['outbound']['dkim'];
  #keys: DkimKey[] = [];
  readonly #judged = new WeakMap<DkimKey, KeyVerdict>();

  constructor({ outbound }: Policy, materials: Materials) {
    this.#wanted = outbound.dkim;
    this.use(materials);
  }

  use({ secrets }: Materials): void {
    this.#keys = this.#wanted.map(({ domain, selector, secret }) => ({
      domain,
      selector,
      pem: secrets[secret]?.['private.key'] ?? '',
    }));
  }

  async sign(record: QueueRecord, open: () => Readable): Promise<Signed> {
    if (!record.ours || this.#keys.length === 0) return NONE;
    const domain = await fromDomainOf(open);
    const keys = domain === undefined ? [] : keysFor(this.#keys, domain);
    if (keys.length === 0) return NONE;
    for (const key of keys) {
      const judged = this.#judged.get(key) ?? judgeKey(key.pem);
      this.#judged.set(key, judged);
      if (judged.kind === 'unusable') {
        const reason = `4.7.0 the key of ${key.selector}._domainkey.${key.domain} cannot be used: ${judged.reason}`;
        return { kind: 'waits', reason };
      }
    }
    const signed = await signMessage(open, keys);
    return signed.kind === 'signed'
      ? { kind: 'header', header: signed.header }
      : { kind: 'refused', reason: `5.6.0 The message cannot be signed: ${signed.reason}` };
  }
}
