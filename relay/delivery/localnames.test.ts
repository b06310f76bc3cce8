/** Which names are those of the cluster, and who is asked about them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DnsAnswer } from '../dns/resolver.ts';
import { isLocalName, listClusterEnds } from './localnames.ts';
import { type MailNames, namesBy } from './names.ts';

const POD = `search mail.svc.corp.example svc.corp.example corp.example eu.corp.example
nameserver 10.96.0.10
options ndots:5
`;

test('the services of a cluster are found by the search list of its pods, whatever its domain is', () => {
  const ends = listClusterEnds(POD);
  assert.deepEqual(ends, ['.svc.corp.example']);
  assert.ok(isLocalName('store.mail.svc.corp.example', ends));
  assert.ok(isLocalName('Store.Mail.SVC.corp.example.', ends));
  for (const host of ['mx.corp.example', 'svc.corp.example', 'mx.svc.elsewhere.example'])
    assert.ok(!isLocalName(host, ends), host);
  assert.deepEqual(listClusterEnds('nameserver 192.0.2.53\nsearch example.com\n'), []);
  assert.deepEqual(listClusterEnds(''), []);
});

test('names that no public DNS has are local on every machine', () => {
  for (const host of [
    'mailstore',
    'store.mail.svc',
    'store.mail.svc.cluster.local.',
    'A.Internal',
    '_mta-sts.mailstore',
  ])
    assert.ok(isLocalName(host, []), host);
  // Whoever chooses such a name for a mail host does not get around DANE.
  for (const host of ['mx.svc.example', 'mx.local.example', 'internal.example', '_dmarc.mx.example'])
    assert.ok(!isLocalName(host, []), host);
});

test('the system is asked about local names, the servers of the spec about all others', async () => {
  const asked: string[] = [];
  const by = (who: string): MailNames => ({
    lookUp: async (name) => {
      asked.push(`${who} ${name}`);
      return { kind: 'absent', name, exists: false, isSigned: true } as DnsAnswer<never>;
    },
  });
  const names = namesBy(by('servers'), by('system'));
  for (const name of ['example.com', 'store.mail.svc.cluster.local', 'mailstore', '_mta-sts.example.com'])
    await names.lookUp(name, 'MX');
  assert.deepEqual(asked, [
    'servers example.com',
    'system store.mail.svc.cluster.local',
    'system mailstore',
    'servers _mta-sts.example.com',
  ]);
});
