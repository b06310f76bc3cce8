import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodStatus } from '#crds/podstatus.ts';
import { podReport, relayObject } from '#test/fixtures/world.ts';
import { describeWideTables } from './statuswide.ts';
import { verb } from './verbs/status.ts';

const told = (changes: Partial<PodStatus>) => describeWideTables({ ...podReport(relayObject()), ...changes });

test('status has the form wide, as all verbs that list', () => {
  const output = verb.options.find(({ long }) => long === '--output');
  assert.deepEqual(output?.argChoices, ['text', 'wide', 'json', 'yaml']);
});

test('the wide status has a table of listeners, client policies, certificates, keys and destinations', () => {
  const report = podReport(relayObject());
  const listener = { name: 'smtp', port: 25, starttls: 'Required', implicitTLS: false, auth: 'Disabled' };
  const clients = { networks: ['192.0.2.0/24', '2001:db8::/32'], starttls: null, minTlsVersion: 'TLSv1.2' };
  const summary = {
    listeners: [{ ...listener, lineEndings: 'Strict' }],
    clientPolicies: [{ ...clients, lineEndings: null }],
    clientPolicyCount: 1,
    outbound: { tlsLevel: 'Opportunistic', routeCount: 0, smartHosts: [] },
  };
  const wait = {
    destination: 'a.example',
    configured: false,
    withoutSuccessSeconds: 90.4,
    message: 'busy\u001b',
  };
  const text = told({
    policy: { ...report.policy, summary },
    dkimKeys: [{ domain: 'example.com', selector: 's1', type: 'rsa', publicKey: 'AA' }],
    queue: { ...report.queue, waits: [wait] },
  });
  for (const line of [
    /^LISTENER +PORT +STARTTLS +IMPLICIT-TLS +LOGIN +LINE-ENDINGS\nsmtp +25 +Required +false +Disabled +Strict$/m,
    /^CLIENT-NETWORKS +STARTTLS +MIN-TLS +LINE-ENDINGS\n192\.0\.2\.0\/24,2001:db8::\/32 +- +TLSv1\.2 +-$/m,
    /^CERTIFICATE +NOT-BEFORE .*\nhost name +\S+Z +\S+Z /m,
    /^DKIM-DOMAIN +SELECTOR +TYPE\nexample\.com +s1 +rsa$/m,
    /^DESTINATION +BY +SECONDS-WITHOUT-SUCCESS +REASON\na\.example +MX +90 +busy\?$/m,
  ])
    assert.match(text, line);
});

test('a wide status without facts has no empty tables', () => {
  assert.doesNotMatch(told({ certificate: null }), /CERTIFICATE|LISTENER|DKIM|DESTINATION/);
});
