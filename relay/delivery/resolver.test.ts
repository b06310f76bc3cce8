import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeFailure } from '#crds/failure.ts';
import type { DnsAnswer } from '../dns/resolver.ts';
import { type MailNames, SYSTEM_NAMES } from './names.ts';
import { findForeign, findMxHops, type MxTerms, resolveHops, wantedAddresses } from './resolver.ts';

const terms: MxTerms = {
  tlsLevel: 'Opportunistic',
  minTlsVersion: 'TLSv1.2',
  sourceAddresses: [],
  socksProxy: null,
  trustConfigMap: null,
  clientCertificateSecret: null,
  ipFamily: 'Any',
};

const of = (records: [number, string][]) => {
  const resolved = findMxHops(
    'example.net',
    records.map(([priority, exchange]) => ({ priority, exchange })),
    terms,
    'relay.example.com',
  );
  return resolved.kind === 'hops' ? resolved.hops.map(({ host }) => host) : describeFailure(resolved.failure);
};

test('MX hosts come in order of preference', () => {
  assert.deepEqual(
    of([
      [20, 'b.example'],
      [10, 'a.example'],
      [30, 'c.example'],
    ]),
    ['a.example', 'b.example', 'c.example'],
  );
});

test('a null MX refuses for good', () => {
  assert.match(String(of([[0, '']])), /^5\.1\.10 /);
});

test('where this relay is an MX itself, only better hosts get the mail', () => {
  const hosts: [number, string][] = [
    [10, 'a.example'],
    [20, 'Relay.example.com'],
    [20, 'b.example'],
    [30, 'c.example'],
  ];
  assert.deepEqual(of(hosts), ['a.example']);
  assert.match(String(of(hosts.slice(1))), /^5\.4\.6 /);
});

test('each MX host knows the domain that it must prove', () => {
  const resolved = findMxHops('example.net', [{ priority: 1, exchange: 'mx.other.example' }], terms, 'x');
  assert.equal(resolved.kind === 'hops' && resolved.hops[0]?.mxOf, 'example.net');
});

test('an MX host knows what its domain is an alias of', async () => {
  const found = async (name: string) => {
    const answer = {
      kind: 'records',
      name,
      records: [{ exchange: 'mx.example', priority: 1 }],
      isSigned: true,
    };
    const names = { lookUp: async () => answer } as unknown as MailNames;
    const resolved = await resolveHops('B\u00fccher.example', terms, 'relay.example.com', names);
    return resolved.kind === 'hops' ? resolved.hops.map(({ mxAlias }) => mxAlias) : [];
  };
  assert.deepEqual(await found('xn--bcher-kva.example'), [undefined]);
  assert.deepEqual(await found('end.example'), ['end.example']);
});

test('an address literal is its own next hop', async () => {
  for (const [domain, host] of [
    ['[192.0.2.1]', '192.0.2.1'],
    ['[ipv6:2001:db8::1]', '2001:db8::1'],
  ] as const) {
    const resolved = await resolveHops(domain, terms, 'x', SYSTEM_NAMES);
    assert.equal(resolved.kind === 'hops' && resolved.hops[0]?.host, host);
  }
});

test('each host once, by its best preference, in lower case', () => {
  assert.deepEqual(
    of([
      [20, 'a.example'],
      [10, 'MX.Example'],
      [15, 'A.example'],
      [30, 'mx.example'],
    ]),
    ['mx.example', 'a.example'],
  );
});

test('a literal that is no address of IP is no mail host', async () => {
  for (const domain of ['[x400:c=de]', '[mx.example.net]', '[127.1]']) {
    const resolved = await resolveHops(domain, terms, 'x', SYSTEM_NAMES);
    assert.ok(resolved.kind === 'none' && resolved.failure.permanent);
  }
});

test('many addresses of one family do not hide the other', () => {
  const many = Array.from({ length: 40 }, (_, index) => ({ address: `192.0.2.${index}`, family: 4 }));
  const six = { address: '2001:db8::1', family: 6 };
  for (const family of ['Any', 'PreferIPv4', 'PreferIPv6'] as const)
    assert.ok(wantedAddresses(family, [...many, six]).includes(six.address));
});

test('addresses are those of the wanted family, the preferred one first, or all in their order', () => {
  const found = [
    { address: '192.0.2.1', family: 4 },
    { address: '2001:db8::1', family: 6 },
  ];
  const of = (family: Parameters<typeof wantedAddresses>[0]) => wantedAddresses(family, found);
  assert.deepEqual(of('Any'), ['192.0.2.1', '2001:db8::1']);
  assert.deepEqual(of('IPv4'), ['192.0.2.1']);
  assert.deepEqual(of('IPv6'), ['2001:db8::1']);
  assert.deepEqual(of('PreferIPv4'), ['192.0.2.1', '2001:db8::1']);
  assert.deepEqual(of('PreferIPv6'), ['2001:db8::1', '192.0.2.1']);
});

const absent = (exists: boolean) =>
  ({ kind: 'absent', name: 'mx.example', exists, isSigned: false }) as const;
const records = (address: string) =>
  ({ kind: 'records', name: 'mx.example', records: [address], isSigned: false }) as const;
const failed = (isBogus: boolean) => ({ kind: 'failed', why: 'SERVFAIL', isBogus }) as const;
/** No domain has an MX record here. */
const namesWith = (answers: { A: DnsAnswer<'A'>; AAAA: DnsAnswer<'AAAA'> }): MailNames => ({
  lookUp: async <Type extends Parameters<MailNames['lookUp']>[1]>(_name: string, type: Type) => {
    const answer = type === 'A' ? answers.A : type === 'AAAA' ? answers.AAAA : absent(true);
    return answer as DnsAnswer<Type>;
  },
});
const FAILED = [failed(false), failed(true)];

for (const [name, v4, v6] of [
  ['absent', [absent(true), absent(false)], [absent(true), absent(false)]],
  ['one of this machine', [records('127.0.0.1'), records('0.0.0.0')], [records('::1'), records('::')]],
] as const)
  test(`while the look-up of one family fails, no answer of the other is final: ${name}`, async () => {
    const pairs = FAILED.flatMap((one) => [
      ...v4.map((A) => ({ A, AAAA: one })),
      ...v6.map((AAAA) => ({ A: one, AAAA })),
    ]);
    for (const pair of pairs) {
      const names = namesWith(pair);
      for (const family of ['Any', 'PreferIPv4', 'PreferIPv6'] as const) {
        const found = await findForeign('mx.example', family, 'example.net', names);
        assert.ok(found.kind === 'none' && !found.failure.permanent, JSON.stringify([pair, found]));
        assert.match(found.failure.text, /SERVFAIL/);
      }
      // Its address is looked up again for the connection.
      assert.equal((await resolveHops('example.net', terms, 'x', names)).kind, 'hops');
    }
  });

test('what both families say is final, and one good address is enough', async () => {
  const find = (A: DnsAnswer<'A'>, AAAA: DnsAnswer<'AAAA'>) =>
    findForeign('mx.example', 'Any', 'example.net', namesWith({ A, AAAA }));
  for (const [A, AAAA] of [
    [records('127.0.0.1'), records('::1')],
    [records('127.0.0.1'), absent(true)],
    [absent(true), records('::1')],
  ] as const) {
    const found = await find(A, AAAA);
    assert.equal(found.kind === 'none' && found.failure.status, '5.4.4');
  }
  for (const other of [...FAILED, absent(true), records('::1')])
    assert.deepEqual(await find(records('198.51.100.1'), other), {
      kind: 'addresses',
      addresses: ['198.51.100.1'],
    });
});

test('an MX record that is an address by itself is judged as that one, and nobody is asked', async () => {
  const names: MailNames = { ...SYSTEM_NAMES, lookUp: () => assert.fail('nobody is asked') };
  const find = (host: string) => findForeign(host, 'Any', 'example.net', names);
  for (const host of [
    'localhost',
    'mail.LOCALHOST.',
    'localhost.localdomain',
    '127.0.0.1',
    '127.1',
    '0x7f.1',
    '0X7F000001.',
    '0177.0.0.1',
    '2130706433',
    '[127.0.0.1]',
    '[IPv6:::1]',
    '::1',
    '[::ffff:7f00:1]',
  ]) {
    const found = await find(host);
    assert.equal(found.kind === 'none' && found.failure.status, '5.4.4', host);
  }
  for (const host of ['192.0.2.1', '[192.0.2.1]', '0xc0000201'])
    assert.deepEqual(await find(host), { kind: 'addresses', addresses: ['192.0.2.1'] });
});

test('a name that only looks like an address is asked for', async () => {
  const names = namesWith({ A: records('198.51.100.1'), AAAA: absent(true) });
  for (const host of [
    '0x7f.1.example',
    'localhost.example',
    '127-0-0-1.example',
    'mx_1.example',
    'münchen.example',
  ])
    assert.equal((await findForeign(host, 'Any', 'example.net', names)).kind, 'addresses', host);
});

test('what can be no domain fails at once, and for good', async () => {
  const names: MailNames = { ...SYSTEM_NAMES, lookUp: () => assert.fail('nobody is asked') };
  for (const domain of ['box"', '"root@box"', 'a b.example', 'x..example', `${'a'.repeat(64)}.example`, '']) {
    const resolved = await resolveHops(domain, terms, 'relay.example', names);
    const text = resolved.kind === 'none' ? describeFailure(resolved.failure) : resolved.kind;
    assert.match(text, /^5\.1\.2 .* is no name of the DNS/, domain);
  }
});
