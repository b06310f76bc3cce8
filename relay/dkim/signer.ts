/**
 * DKIM for mail of authorized clients: finds the keys of the From domain and signs with all of them. Other mail is
 * never signed, because otherwise anybody could send in our name. A client that is limited to certain domains gets no
 * signature for another domain. If a key of the domain cannot be used, the message waits, because without its signature
 * it might be refused finally. A message that no key can sign is sent unsigned. The log and a metric give the reason,
 * once for each message. Mail of others that was verified is sealed instead (arc.ts), under the same rules.
 */
import type { Readable } from 'node:stream';
import { type Failure, makeFailure } from '#crds/failure.ts';
import { compilePatterns } from '#crds/patterns.ts';
import type { Policy } from '#crds/policyfile.ts';
import { type DkimKeyVerdict, judgeDkimKey } from '#crds/publickeys.ts';
import type { Log } from '../observe/log.ts';
import type { ArcFacts } from '../spool/record.ts';
import type { Loaded } from '../spool/spool.ts';
import type { Materials } from '../task/materials.ts';
import { sealMessage } from './arc.ts';
import { type DkimKey, type Signing, selectKeys, signMessage } from './dkim.ts';
import { findFromDomain, type NotSignedReason } from './fromdomain.ts';

/**
 * Header lines to put before the message, if there are any. Or the reason why the message cannot be sent until a key or
 * its name is corrected.
 */
export type Signed =
  | { readonly kind: 'header'; readonly header: Buffer | null }
  | { readonly kind: 'failed'; readonly failure: Failure };

export type Signer = (message: Loaded & { kind: 'message' }) => Promise<Signed>;

const NONE: Signed = { kind: 'header', header: null };
/** A message is signed for each of its deliveries, but the reason is logged only at the first. */
const REMEMBERED = 10_000;

/** Sentences for the log. The names are labels of the metric. */
const REASONS: Readonly<Record<NotSignedReason, string>> = {
  long_header: 'its header is longer than 256 KiB',
  no_from: 'it has no From field',
  several_from: 'it has several From fields',
  unreadable_from: 'its From field has no address with a domain',
  several_domains: 'its From field has addresses of several domains',
  many_lines: 'its header has more than 4000 lines',
  stray_line: 'a line of its header is no field, and verifiers disagree about what follows',
  long_line: 'a line of it is longer than 1 MiB',
  not_sealed: 'its ARC chain cannot be continued',
  sender_domains: 'the domain of its From field is not among the senderDomains of the client',
};

const waits = (text: string) => makeFailure({ cause: 'local', status: '4.7.0', text });

export class DkimSigner {
  readonly #wanted: Policy['outbound']['dkim'];
  readonly #sealDomain: string | undefined;
  readonly #log: Log;
  readonly #onNotSigned: (reason: NotSignedReason) => void;
  readonly #told = new Set<string>();
  #keys: DkimKey[] = [];
  readonly #judged = new WeakMap<DkimKey, DkimKeyVerdict>();

  constructor(
    { inbound, outbound }: Policy,
    materials: Materials,
    log: Log,
    onNotSigned: (reason: NotSignedReason) => void,
  ) {
    this.#wanted = outbound.dkim.filter(({ signs }) => signs);
    this.#sealDomain = inbound.authenticationResults?.arcSealDomain ?? undefined;
    this.#log = log;
    this.#onNotSigned = onNotSigned;
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
    if (!ours) return this.#seal(id, record.arc, open);
    if (this.#keys.length === 0) return NONE;
    const from = await findFromDomain(open);
    if (from.kind === 'unclear') return this.#notSigned(id, from.reason);
    const { domain } = from;
    const keys = selectKeys(this.#keys, domain);
    if (keys.length === 0) return NONE;
    if (senderDomains && !compilePatterns(senderDomains)(domain))
      return this.#notSigned(id, 'sender_domains', domain);
    if (from.hasStrayLine) return this.#notSigned(id, 'stray_line', domain);
    const unusable = this.#judge(keys);
    if (unusable) return { kind: 'failed', failure: unusable };
    return this.#conclude(id, domain, await signMessage(open, keys));
  }

  async #seal(id: string, facts: ArcFacts | undefined, open: () => Readable): Promise<Signed> {
    const key = this.#keys.find(({ domain }) => domain === this.#sealDomain);
    if (!facts || !key) return NONE;
    const unusable = this.#judge([key]);
    if (unusable) return { kind: 'failed', failure: unusable };
    return this.#conclude(id, key.domain, await sealMessage(open, key, facts));
  }

  #conclude(id: string, domain: string, signed: Signing): Signed {
    if (signed.kind === 'signed') return { kind: 'header', header: signed.header };
    if (signed.kind === 'unsignable') return this.#notSigned(id, signed.reason, domain);
    // The keys and their names come from the policy, so the message waits for the policy to be corrected.
    return { kind: 'failed', failure: waits(signed.reason) };
  }

  /** Why the message waits, if any of the keys cannot be used. */
  #judge(keys: readonly DkimKey[]): Failure | undefined {
    for (const key of keys) {
      const judged = this.#judged.get(key) ?? judgeDkimKey(key.pem);
      this.#judged.set(key, judged);
      if (judged.kind === 'unusable') {
        return waits(`the key of ${key.selector}._domainkey.${key.domain} cannot be used: ${judged.reason}`);
      }
    }
    return undefined;
  }

  #notSigned(id: string, reason: NotSignedReason, domain?: string): Signed {
    if (this.#told.has(id)) return NONE;
    if (this.#told.size >= REMEMBERED) this.#told.clear();
    this.#told.add(id);
    this.#onNotSigned(reason);
    this.#log('not_signed', { id, domain, rule: reason, reason: REASONS[reason] });
    return NONE;
  }
}
