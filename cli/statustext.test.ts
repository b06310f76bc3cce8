import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodStatus } from '#crds/podstatus.ts';
import { podReport, relayObject } from '#test/fixtures/world.ts';
import { describeCertificates, describeStatus } from './statustext.ts';

const report = podReport(relayObject());
const told = (sessions: object) =>
  describeStatus({ ...report, sessions: { ...report.sessions, ...sessions } }, Date.UTC(2026, 0, 2));
const sender = (helo: string) => ({ network: '192.0.2.0/24', helo, lastSeen: '2026-01-01T10:00:00Z' });

test('the status tells clients that Required refused apart from those that it would refuse', () => {
  const text = told({
    plaintextClients: 2,
    plaintext: [sender('lamp.example')],
    plaintextRefusedClients: 1,
    plaintextRefused: [sender('old.example')],
  });
  assert.match(
    text,
    /1 client in the last 7 days, taken before; Required refused:\n +192\.0\.2\.0\/24 {2}old\.example/,
  );
  assert.match(
    text,
    /2 clients in the last 7 days; Required would have refused:\n +192\.0\.2\.0\/24 {2}lamp\.example/,
  );
  assert.doesNotMatch(told({}), /Required refused/);
});

test('the status tells how deliveries were protected, and which destinations each stricter level would make wait', () => {
  const share = (value: string, count: number) => ({ value, count });
  const outbound = {
    deliveries: 3,
    level: [share('Encrypt', 2), share('None', 1)],
    version: [share('TLSv1.3', 2), share('none', 1)],
    group: [share('X25519', 2), share('none', 1)],
    verifiedBy: [share('nothing', 3)],
    fellBack: [share('no', 2), share('starttls-missing', 1)],
    wouldWait: [
      {
        level: 'Encrypt' as const,
        destinations: 12,
        list: [
          {
            destination: 'old.example',
            message: 'does not offer STARTTLS',
            lastSeen: '2026-01-01T10:00:00Z',
          },
        ],
      },
      { level: 'Verify' as const, destinations: 0, list: [] },
    ],
  };
  const text = describeStatus({ ...report, outbound }, Date.UTC(2026, 0, 2));
  assert.match(text, /^outbound +3 deliveries .* level that was met: Encrypt 67%, None 33%$/m);
  assert.match(text, /^ +TLS TLSv1\.3 67%, none 33%; groups X25519 67%, none 33%$/m);
  assert.match(text, /^ +verified by nothing 100%; fell back to plain text: no 67%, starttls-missing 33%$/m);
  assert.match(
    text,
    /^at Encrypt +mail for 12 destinations .*\n +old\.example {2}does not offer STARTTLS {2}last at 2026-01-01T10:00:00Z or up to an hour later\n +and 11 more$/m,
  );
  assert.match(text, /^at Verify +no mail of the last 7 days would have waited$/m);
  assert.match(text, /^at Dane +not known: DANE is not looked up$/m);
  assert.doesNotMatch(told({}), /^outbound/m);
});

test('the status tells the share of sessions in TLS, and none without sessions', () => {
  assert.match(
    told({ tlsSessions: 3, plaintextSessions: 1 }),
    /^sessions +0 open, 75% in TLS since the start$/m,
  );
  assert.match(told({}), /^sessions +0 open$/m);
});

test('a refused client is told with what would let it in; a reason of a newer relay without', () => {
  const refusal = (reason: string) => ({ reason, count: 1, lastSeen: '2026-01-01T10:00:00Z' });
  const text = told({ refusals: [refusal('too_large'), refusal('unheard_of')] });
  assert.match(
    text,
    /^ +too_large {2}once, last at \S+\n +raise inbound\.limits\.messageSize.*\n +unheard_of/m,
  );
});

test('the status tells who asks for fewer messages, and what is left of its pace', () => {
  const slowed = [{ destination: 'big', pace: '1/2', message: '421 4.7.28 too fast' }];
  const told = (slowed: PodStatus['queue']['slowed']) =>
    describeStatus({ ...report, queue: { ...report.queue, slowed } }, Date.UTC(2026, 0, 2));
  assert.match(told(slowed), /^ +big gets 1\/2 of its pace: 421 4\.7\.28 too fast$/m);
  const since = slowed.map((one) => ({ ...one, seconds: 240 }));
  assert.match(told(since), /^ +big gets 1\/2 of its pace for 4m now: 421 4\.7\.28 too fast$/m);
});

test('a certificate inside the cluster that waits is told, and when it is served', () => {
  const { certificate } = report;
  assert.ok(certificate);
  const text = (follows: string | null) => {
    const nextInternalCertificate = { ...certificate, serial: '5B', authority: 'pem', follows };
    const status = { ...report, internalCertificate: certificate, nextInternalCertificate };
    return describeCertificates(status, Date.UTC(2026, 0, 2)).join('\n');
  };
  assert.match(text('2026-01-02T00:02:00Z'), /^ +serial 5B follows at 2026-01-02T00:02:00Z: clients first/m);
  assert.match(text(null), /^ +serial 5B follows two minutes after its authority is published: clients/m);
});

test('a listener is told with the port of the manifest, and with the one where it is reached here', () => {
  const listener = { starttls: 'Enabled', implicitTLS: false, auth: 'Disabled', lineEndings: 'Strict' };
  const summary = {
    listeners: [
      { ...listener, name: 'smtp', port: 25 },
      { ...listener, name: 'other', port: 2525 },
    ],
    clientPolicies: [],
    clientPolicyCount: 0,
    outbound: { tlsLevel: 'Opportunistic', routeCount: 0, smartHosts: [] },
  };
  const text = describeStatus({ ...report, policy: { ...report.policy, summary } }, Date.UTC(2026, 0, 2));
  assert.match(text, /^listeners +smtp at port 25 \(here 10025\): /m);
  assert.match(text, /^ +other at port 2525: /m);
});

test('the status tells what keeps mail away, and what goes wrong beside the mail', () => {
  const queue = { ...report.queue, full: 'the disk is nearly full' };
  const events = { waiting: 7, failure: 'HTTP 403', hasDropped: true };
  const text = describeStatus(
    {
      ...report,
      queue,
      filter: { failure: 'no answer in 30s' },
      events,
      history: { failure: 'disk I/O error' },
    },
    Date.UTC(2026, 0, 2),
  );
  assert.match(text, /^full +the disk is nearly full$/m);
  assert.match(text, /^filter +judges no message: no answer in 30s$/m);
  assert.match(text, /^events +not taken: HTTP 403; 7 wait; some were dropped in the last hour$/m);
  assert.match(text, /^history +lacks mail of the last hour: disk I\/O error$/m);
  const well = {
    ...report,
    filter: { failure: null },
    history: { failure: null },
    events: { waiting: 7, failure: null, hasDropped: false },
  };
  assert.doesNotMatch(describeStatus(well, Date.UTC(2026, 0, 2)), /^(full|filter|events|history) /m);
});
