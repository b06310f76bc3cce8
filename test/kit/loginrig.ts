/** Logins at a listener with users and an issuer of tokens. */
import { exportJWK, generateKeyPair } from 'jose';
import { LoginGuard } from '#relay/auth/guard.ts';
import { Logins } from '#relay/listener/logins.ts';
import { Counters } from '#relay/task/counts.ts';
import { clientsOf, listenerAt } from '#test/kit/relayrig.ts';

export const issuer = 'https://issuer.example';
export const keys = await generateKeyPair('ES256');
export const jwks = { keys: [{ ...(await exportJWK(keys.publicKey)), kid: 'one' }] };

const OPEN = new AbortController().signal;
export const from = (client: string, ended = OPEN) => ({ client, ended });

export function loginsAt(
  clock: () => number,
  materials: { users?: Record<string, string>; keys?: string },
  acceptAsPassword = false,
  at: { issuer: string; keysConfigMap: string | null } = { issuer, keysConfigMap: 'keys' },
  guard = new LoginGuard(clock),
) {
  const clients = clientsOf({
    usersSecret: 'users',
    oauth: {
      ...at,
      audience: 'a',
      subjects: ['app'],
      trustConfigMap: null,
      acceptAsPassword,
    },
  });
  const deps = {
    listener: listenerAt(587, { auth: 'Required', clients }),
    log: () => undefined,
    clocks: { monotonic: clock, wall: clock },
    counters: new Counters(),
    guard,
  };
  const configMaps: Record<string, Record<string, string>> = materials.keys === undefined
    ? {}
    : { keys: { 'jwks.json': materials.keys } };
  return new Logins(deps, { secrets: { users: materials.users ?? {} }, configMaps });
}
