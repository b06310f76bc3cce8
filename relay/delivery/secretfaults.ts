/**
 * What is wrong with the contents of the Secrets of a next hop, as far as the relay sees it without asking the hop.
 */
import { type Failure, makeFailure } from '#crds/failure.ts';
import { judgePair } from '#crds/keypair.ts';
import type { Files, Materials } from '../task/materials.ts';
import type { NextHop } from './courier.ts';
import { readLogin } from './hopcredentials.ts';
import { weakestStrength } from './tlspolicy.ts';

type Secrets = Materials['secrets'];

/** The keys of a login that must not be known to others. */
const SECRET_KEYS = ['password', 'token', 'serviceAccountKey', 'clientSecret', 'refreshToken', 'tls.key'];

/** Why no connection could use these contents. */
export function findFault(hop: NextHop, secrets: Secrets): Failure | undefined {
  return findFaultAt(hop, secrets, null);
}

/** The same, for contents that are to take the place of others: a certificate that is not valid now is a fault too. */
export function findFaultOfNew(hop: NextHop, secrets: Secrets, now: Date): Failure | undefined {
  return findFaultAt(hop, secrets, now);
}

/** True if a login or a pair was taken away. What was taken away must not stay in use, so this is no fault. */
export function isWithdrawn(
  { credentialsSecret, clientCertificateSecret }: NextHop,
  secrets: Secrets,
): boolean {
  const lacks = (name: string | null, keys: readonly string[]) =>
    name !== null && keys.every((key) => !secrets[name]?.[key]?.trim());
  return lacks(credentialsSecret, SECRET_KEYS) || lacks(clientCertificateSecret, ['tls.crt', 'tls.key']);
}

function findFaultAt(hop: NextHop, secrets: Secrets, now: Date | null): Failure | undefined {
  const { credentialsSecret, clientCertificateSecret } = hop;
  const fault =
    (clientCertificateSecret === null
      ? undefined
      : faultOfPair(secrets[clientCertificateSecret] ?? {}, now, weakestStrength(hop).ciphers)) ??
    (credentialsSecret === null ? undefined : faultOfLogin(credentialsSecret, secrets));
  return fault === undefined ? undefined : makeFailure({ cause: 'local', status: '4.7.0', text: fault });
}

function faultOfPair(
  { 'tls.crt': cert, 'tls.key': key }: Files,
  now: Date | null,
  ciphers: string | null,
): string | undefined {
  const judged = judgePair(cert, key, [], now ?? new Date(0), ciphers);
  if (judged.kind === 'unusable') return judged.message;
  const { reason, message } = judged.warning ?? {};
  const isInvalid = reason === 'CertificateExpired' || reason === 'CertificateNotYetValid';
  return now !== null && isInvalid ? message : undefined;
}

function faultOfLogin(name: string, secrets: Secrets): string | undefined {
  const login = readLogin(name, secrets[name] ?? {});
  return login.kind === 'unusable' ? login.reason : undefined;
}
