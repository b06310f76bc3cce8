/**
 * The whole of the TLS policy towards next hops, as tables to read. The first: what the spec says of a hop -> what its
 * connection does. The second: level x DANE x MTA-STS -> what becomes of mail, by what the hop offers.
 */
import { test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import { requiresTls, TLS_LEVELS } from '#crds/tlslevel.ts';
import type { NextHop } from '#relay/delivery/courier.ts';
import { type DaneFinding, NO_FINDINGS, type StsFinding } from '#relay/delivery/tlsfindings.ts';
import { decideTls, fallBack, type TlsDecision, type TlsPolicy } from '#relay/delivery/tlspolicy.ts';
import { hopTo } from '#test/kit/relayrig.ts';
import { assertGolden } from './golden.ts';

const COLUMNS = [52, 14, 9, 13, 30, 8, 33, 6];

function table(...rows: readonly (readonly string[])[]): string {
  return rows
    .map((cells) =>
      cells
        .map((cell, index) => cell.padEnd(COLUMNS[index] ?? 0))
        .join(' ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

function describeTrust({ trust }: TlsPolicy): string {
  if (trust.kind === 'none') return 'nobody';
  if (trust.kind === 'tlsa') return 'TLSA records';
  return trust.configMap ?? 'public roots';
}

function row(what: string, decision: TlsDecision): string[] {
  if (decision.kind === 'wait') return [what, 'waits', '', '', '', '', '', '', decision.failure.text];
  const { policy } = decision;
  const { level, mode, names, strength, mayFallBack, rule } = policy;
  return [
    what,
    level,
    mode,
    describeTrust(policy),
    names.join(',') || '-',
    strength.minVersion,
    strength.ciphers ?? 'default',
    mayFallBack ? 'may' : 'never',
    rule,
  ];
}

const BROKEN = makeFailure({ cause: 'handshake', status: '4.7.5', text: 'it broke' });

test('the TLS policy of every level is as reviewed', () => {
  const decide = (changes: Partial<NextHop>, requireTls = false) =>
    decideTls({ ...hopTo(25, { host: 'mx.example.net' }), ...changes }, NO_FINDINGS, requireTls);
  const rows = TLS_LEVELS.flatMap((tlsLevel) => [
    row(`${tlsLevel}`, decide({ tlsLevel })),
    row(`${tlsLevel}, implicit TLS`, decide({ tlsLevel, implicitTLS: true })),
    row(`${tlsLevel}, login`, decide({ tlsLevel, credentialsSecret: 'login' })),
    row(`${tlsLevel}, own bundle`, decide({ tlsLevel, trustConfigMap: 'roots' })),
    row(`${tlsLevel}, MX of example.net`, decide({ tlsLevel, mxOf: 'example.net' })),
    row(`${tlsLevel}, MX of other.example`, decide({ tlsLevel, mxOf: 'other.example' })),
    row(
      `${tlsLevel}, signed MX of other.example`,
      decide({ tlsLevel, mxOf: 'other.example', isMxSigned: true }),
    ),
    row(`${tlsLevel}, REQUIRETLS`, decide({ tlsLevel }, true)),
    row(`${tlsLevel}, REQUIRETLS, MX of other.example`, decide({ tlsLevel, mxOf: 'other.example' }, true)),
    row(
      `${tlsLevel}, REQUIRETLS, signed MX of other.example`,
      decide({ tlsLevel, mxOf: 'other.example', isMxSigned: true }, true),
    ),
    row(`${tlsLevel}, minVersion TLSv1.3`, decide({ tlsLevel, minTlsVersion: 'TLSv1.3' })),
    row(`${tlsLevel}, minVersion TLSv1`, decide({ tlsLevel, minTlsVersion: 'TLSv1' })),
  ]);
  const opportunistic = decide({ tlsLevel: 'Opportunistic' });
  const fallen: TlsDecision =
    opportunistic.kind === 'wait'
      ? opportunistic
      : { kind: 'policy', policy: fallBack(opportunistic.policy, BROKEN) };
  const head = ['hop', 'level', 'mode', 'trusted', 'names', 'oldest', 'ciphers', 'plain', 'rule'];
  assertGolden(
    'tlspolicy.txt',
    table(head, ...rows, row('Opportunistic, after a handshake that broke', fallen)),
  );
});

const DANE: Readonly<Record<string, DaneFinding>> = {
  'not looked up': { kind: 'off' },
  'no records': { kind: 'none', why: 'mx.example.net has no TLSA record' },
  unusable: { kind: 'unusable', base: 'mx.example.net' },
  records: {
    kind: 'records',
    base: 'mx.example.net',
    records: [{ usage: 3, selector: 1, matching: 1, data: '' }],
  },
  bogus: {
    kind: 'failed',
    failure: {
      permanent: false,
      cause: 'dnssec-invalid',
      status: '4.7.5',
      text: 'the TLSA look-up of mx.example.net fails in DNSSEC',
    },
  },
};

const policy = (mode: 'enforce' | 'testing', ...mxPatterns: string[]): StsFinding => ({
  kind: 'policy',
  mode,
  mxPatterns,
  maxAgeSeconds: 86_400,
});

const STS: Readonly<Record<string, StsFinding>> = {
  none: { kind: 'none' },
  testing: policy('testing', 'mx.example.net'),
  enforce: policy('enforce', '*.example.net'),
  'enforce, other MX': policy('enforce', 'mx.other.example'),
  'not asked': {
    kind: 'unasked',
    failure: { permanent: false, cause: 'dns', status: '4.4.3', text: 'the policy is not looked up in time' },
  },
};

/** What becomes of the mail: without STARTTLS, when the handshake breaks, by a certificate that proves nothing. */
function outcomes(decision: TlsDecision): string[] {
  if (decision.kind === 'wait') return ['waits', 'waits', 'waits', 'waits', decision.failure.text];
  const { level, mode, trust, mayFallBack, rule, names } = decision.policy;
  if (mode === 'none') return ['plain', 'plain', 'plain', 'plain', rule];
  return [
    requiresTls(level) ? 'waits' : 'plain',
    mayFallBack ? 'plain' : 'waits',
    trust.kind === 'none' ? 'encrypted' : 'waits',
    trust.kind === 'none'
      ? 'encrypted'
      : `encrypted, by ${trust.kind}${names.length > 0 ? ` and ${names}` : ''}`,
    rule,
  ];
}

test('the decision by level, DANE and MTA-STS is as reviewed', () => {
  const widths = [13, 13, 17, 9, 9, 10, 10, 48];
  const line = (cells: readonly string[]) =>
    `${cells.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join(' ')}`.trimEnd();
  const rows = TLS_LEVELS.flatMap((tlsLevel) =>
    [true, false].flatMap((isMxSigned) =>
      Object.entries(DANE).flatMap(([daneName, dane]) =>
        Object.entries(STS).map(([stsName, sts]) => {
          const hop = { ...hopTo(25, { host: 'mx.example.net', tlsLevel }), mxOf: 'example.net', isMxSigned };
          const facts = [tlsLevel, daneName, stsName, isMxSigned ? 'signed' : 'unsigned'];
          return line([...facts, ...outcomes(decideTls(hop, { dane, sts }))]);
        }),
      ),
    ),
  );
  const head = ['level', 'DANE', 'MTA-STS', 'MX', 'STARTTLS', 'handshake', 'certificate', 'certificate'];
  const below = ['', '', '', '', 'missing', 'breaks', 'unproven', 'that is proven', 'rule'];
  assertGolden('tlsdecision.txt', `${[line(head), line(below), ...rows].join('\n')}\n`);
});
