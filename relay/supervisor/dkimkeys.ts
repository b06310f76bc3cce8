/**
 * The public halves of the DKIM keys. The status tells them, because the operator publishes them and reads no Secrets. A
 * key that cannot be read, or that is too long for a DNS record of any use, is left out; why mail waits for a key is told
 * elsewhere. The status is built many times a second, so each key is read once.
 */
import type { PublishedDkimKey } from '#crds/podstatus.ts';
import type { Policy } from '#crds/policyfile.ts';
import { readDkimPublicKey } from '#crds/publickeys.ts';
import type { Materials } from '../task/materials.ts';

/** RSA with 5,000 bits. The bound of the status, which would cut the key. */
const LONGEST = 1024;

type PublicKey = ReturnType<typeof readDkimPublicKey>;

export class DkimKeys {
  /** By the text of the private key. */
  #read = new Map<string, PublicKey>();

  list({ outbound }: Policy, { secrets }: Materials): PublishedDkimKey[] {
    const read = new Map<string, PublicKey>();
    const keys = outbound.dkim.flatMap(({ domain, selector, secret }) => {
      const pem = secrets[secret]?.['private.key'] ?? '';
      const key = this.#read.has(pem) ? this.#read.get(pem) : readDkimPublicKey(pem);
      read.set(pem, key);
      return key && key.publicKey.length <= LONGEST ? [{ domain, selector, ...key }] : [];
    });
    this.#read = read;
    return keys;
  }
}
