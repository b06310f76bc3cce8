/** The whole of the TLS policy towards next hops, as a table to read: level, implicit TLS, attempt -> what is done. */
import { test } from 'node:test';
import { TLS_LEVELS } from '#crds/tlslevel.ts';
import * as tlsplan from '#relay/delivery/tlsplan.ts';
import { assertGolden } from './golden.ts';

test('the TLS plan of every level is as reviewed', () => {
  const rows = TLS_LEVELS.filter((level) => level !== 'Dane').flatMap((level) =>
    [false, true].flatMap((implicitTLS) =>
      (['First', 'AfterBrokenHandshake'] as const).map((attempt) => {
        const plan = Object.entries(tlsplan.planTls(level, implicitTLS, attempt));
        const yes = plan.filter(([, value]) => value === true).map(([name]) => name);
        return `${level.padEnd(14)} ${(implicitTLS ? 'implicit' : 'starttls').padEnd(9)} ${attempt.padEnd(21)} ${yes.join(' ') || '-'}`;
      }),
    ),
  );
  assertGolden(
    'tlsplan.txt',
    `level          port      attempt               what holds\n${rows.join('\n')}\n`,
  );
});
