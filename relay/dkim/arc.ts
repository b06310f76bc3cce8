/**
 * An ARC set (RFC 8617) for a message of others that the relay passes on: it seals what the relay has verified, so that
 * the next hop can believe it after SPF is broken by the way. Made by mailauth in one pass over the stream, at each
 * delivery, over the message as it is sent. A message that cannot be read rejects.
 */
import { Readable } from 'node:stream';
import type { ArcFacts } from '../spool/record.ts';
import { load } from '../task/load.ts';
import type { DkimKey, Signing } from './dkim.ts';
import { signable, Unsignable } from './signable.ts';

export async function sealMessage(
  open: () => Readable,
  { domain, selector, pem }: DkimKey,
  { chain, results }: ArcFacts,
): Promise<Signing> {
  const { createSeal } = load('mailauth/lib/arc/index.js') as typeof import('mailauth/lib/arc/index.js');
  const fault: { reason?: Unsignable['reason'] } = {};
  async function* bounded() {
    try {
      yield* signable(open());
    } catch (error) {
      if (error instanceof Unsignable) fault.reason = error.reason;
      throw error;
    }
  }
  const seal = {
    signingDomain: domain,
    selector,
    privateKey: pem,
    authResults: results,
    cv: chain,
    signTime: new Date(),
  };
  try {
    const { headers, errors } = await createSeal(Readable.from(bounded()), { seal, strict: true });
    // The chain is a stranger's work, so the message does not wait for a person.
    if (errors.length > 0) return { kind: 'unsignable', reason: 'not_sealed' };
    return { kind: 'signed', header: Buffer.from(headers.map((line) => `${line}\r\n`).join('')) };
  } catch (error) {
    if (fault.reason) return { kind: 'unsignable', reason: fault.reason };
    throw error;
  }
}
