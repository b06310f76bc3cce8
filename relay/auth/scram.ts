/**
 * The server side of SCRAM-SHA-256 (RFC 5802 section 5, RFC 7677) without channel binding: two messages from each side.
 * An unreadable message, a demanded channel binding, a wrong nonce and a wrong proof are all refused. An unknown user
 * is refused at the same step as a wrong password. Pure: the nonce is an argument.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { PasswordHash } from '#crds/storedpassword.ts';

export type ScramFirst =
  | { kind: 'challenge'; user: string; text: string; finish: (clientFinal: string) => ScramFinal }
  /** The client wants to act as another user than the one whose password it has. */
  | { kind: 'for another'; user: string }
  | { kind: 'unreadable' };

type ScramFinal = { kind: 'verified'; text: string } | { kind: 'refused' };

/**
 * For an unknown user, `find` returns a decoy and says so. It is asked again for the proof, which must fit what is stored by
 * then.
 */
export function scramFirst(
  clientFirst: string,
  nonce: string,
  find: (user: string) => { exists: boolean; hash: PasswordHash },
): ScramFirst {
  // The gs2-header: n (no binding) or y (the client supports binding and correctly believes that we do not).
  const [, gs2 = '', actAs = '', bare = '', name = '', clientNonce = ''] =
    /^([ny],(?:a=([^,]*))?,)(n=([^,]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,.*)?)$/s.exec(clientFirst) ?? [];
  const user = decodeName(name);
  if (bare === '' || user === undefined) return { kind: 'unreadable' };
  if (actAs !== '' && decodeName(actAs) !== user) return { kind: 'for another', user };
  const { salt, iterations } = find(user).hash;
  const whole = `${clientNonce}${nonce}`;
  const text = `r=${whole},s=${salt.toString('base64')},i=${iterations}`;
  const finish = (clientFinal: string): ScramFinal => {
    const final = parseFinal(clientFinal);
    const { exists, hash } = find(user);
    const isBound = final && Buffer.from(final.binding, 'base64').toString() === gs2 && final.nonce === whole;
    const message = `${bare},${text},${final?.withoutProof}`;
    const isProven = final !== undefined && proves(hash, message, Buffer.from(final.proof, 'base64'));
    if (!isBound || !isProven || !exists) return { kind: 'refused' };
    const signature = createHmac('sha256', hash.serverKey).update(message).digest('base64');
    return { kind: 'verified', text: `v=${signature}` };
  };
  return { kind: 'challenge', user, text, finish };
}

function parseFinal(text: string) {
  const [, withoutProof, binding, nonce, proof] =
    /^(c=([A-Za-z0-9+/=]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,[^,]*)*?),p=([A-Za-z0-9+/=]+)$/.exec(text) ?? [];
  if (withoutProof === undefined || binding === undefined || nonce === undefined || proof === undefined)
    return undefined;
  return { withoutProof, binding, nonce, proof };
}

function proves({ storedKey }: PasswordHash, message: string, proof: Buffer): boolean {
  const signature = createHmac('sha256', storedKey).update(message).digest();
  if (proof.length !== signature.length) return false;
  const clientKey = Buffer.from(proof.map((byte, index) => byte ^ (signature[index] ?? 0)));
  return timingSafeEqual(createHash('sha256').update(clientKey).digest(), storedKey);
}

/** `=2C` is a comma and `=3D` an equals sign. Any other `=` is an error (RFC 5802 section 5.1). */
function decodeName(text: string): string | undefined {
  return /=(?!2C|3D)/.test(text) ? undefined : text.replaceAll('=2C', ',').replaceAll('=3D', '=');
}
