/** The whole of the TLS policy towards next hops, as a table to read: what a hop says -> what its connection does. */
import { test } from 'node:test';
import { TLS_LEVELS } from '#crds/tlslevel.ts';
import { decideTls, fallBack, type TlsPolicy } from '#relay/delivery/tlspolicy.ts';
import { hopTo } from '#test/kit/relayrig.ts';
import { assertGolden } from './golden.ts';

function row(what: string, { level, mode, names, trust, strength, mayFallBack, rule }: TlsPolicy): string {
  const who = trust.kind === 'none' ? 'nobody' : trust.configMap === null ? 'public roots' : trust.configMap;
  return [
    what.padEnd(52),
    level.padEnd(14),
    mode.padEnd(9),
    who.padEnd(13),
    (names.join(',') || '-').padEnd(30),
    strength.minVersion.padEnd(8),
    (strength.ciphers ?? 'default').padEnd(33),
    (mayFallBack ? 'may' : 'never').padEnd(6),
    rule,
  ].join(' ');
}

test('the TLS policy of every level is as reviewed', () => {
  const at = { host: 'mx.example.net' };
  const rows = TLS_LEVELS.flatMap((tlsLevel) => [
    row(`${tlsLevel}`, decideTls(hopTo(25, { ...at, tlsLevel }))),
    row(`${tlsLevel}, implicit TLS`, decideTls(hopTo(25, { ...at, tlsLevel, implicitTLS: true }))),
    row(`${tlsLevel}, login`, decideTls(hopTo(25, { ...at, tlsLevel, credentialsSecret: 'login' }))),
    row(`${tlsLevel}, own bundle`, decideTls(hopTo(25, { ...at, tlsLevel, trustConfigMap: 'roots' }))),
    row(
      `${tlsLevel}, MX of example.net`,
      decideTls({ ...hopTo(25, { ...at, tlsLevel }), mxOf: 'example.net' }),
    ),
    row(
      `${tlsLevel}, MX of other.example`,
      decideTls({ ...hopTo(25, { ...at, tlsLevel }), mxOf: 'other.example' }),
    ),
    row(
      `${tlsLevel}, minVersion TLSv1.3`,
      decideTls(hopTo(25, { ...at, tlsLevel, minTlsVersion: 'TLSv1.3' })),
    ),
    row(`${tlsLevel}, minVersion TLSv1`, decideTls(hopTo(25, { ...at, tlsLevel, minTlsVersion: 'TLSv1' }))),
  ]);
  const fallen = row(
    'Opportunistic, after a handshake that broke',
    fallBack(decideTls(hopTo(25, { ...at, tlsLevel: 'Opportunistic' }))),
  );
  const head = `${'hop'.padEnd(52)} ${'level'.padEnd(14)} mode      trusted       names                          oldest   ciphers                           plain  rule`;
  assertGolden('tlspolicy.txt', `${head}\n${[...rows, fallen].join('\n')}\n`);
});
