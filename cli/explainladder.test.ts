import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import type { HostStep, Ladder } from '#relay/delivery/ladder.ts';
import { describeLadder } from './explainladder.ts';

const waits = (text: string) => makeFailure({ cause: 'dane-required', status: '4.7.5', text });
const record = { usage: 3, selector: 1, matching: 1, data: 'ab'.repeat(32) } as const;

function told(changes: Partial<Ladder>, host: Partial<HostStep> = {}): string {
  const step: HostStep = {
    host: 'mx.example.net',
    port: 25,
    priority: 10,
    dane: { kind: 'off' },
    decision: { kind: 'wait', failure: waits('no way') },
    ...host,
  };
  const ladder: Ladder = {
    rule: 'outbound.tls (MX)',
    mx: { kind: 'found', domain: 'example.net', isSigned: true },
    sts: { kind: 'none' },
    isStsRecordKnown: true,
    knowsHeldPolicies: true,
    hosts: [step],
    moreHosts: 0,
    end: null,
    ...changes,
  };
  return describeLadder(ladder);
}

test('each rung has its words', () => {
  assert.match(told({}), /^MX +those of example\.net, proven by DNSSEC$/m);
  assert.match(told({ sts: { kind: 'off' } }), /^MTA-STS +not looked up$/m);
  assert.match(
    told({ sts: { kind: 'failed', failure: waits('gone') } }),
    /^MTA-STS +4\.7\.5 gone: as without/m,
  );
  assert.match(told({}), /^ {2}level +no connection is made: 4\.7\.5 no way$/m);
  assert.match(told({ moreHosts: 3 }), /and 3 more hosts$/m);
  const dane = (finding: HostStep['dane']) => told({}, { dane: finding });
  assert.match(
    dane({ kind: 'none', why: 'it has no TLSA record' }),
    /^ {2}TLSA +none: it has no TLSA record$/m,
  );
  assert.match(dane({ kind: 'unusable', base: 'mx.example.net' }), /^ {2}TLSA +no record of .* is usable$/m);
  assert.match(dane({ kind: 'failed', failure: waits('it is bogus') }), /^ {2}TLSA +4\.7\.5 it is bogus$/m);
  assert.match(
    dane({ kind: 'records', base: 'mx.example.net', records: Array.from({ length: 7 }, () => record) }),
    /^ {2}TLSA +of mx\.example\.net: 3 1 1 abababababababab…(, 3 1 1 \w+…){4} and 2 more$/m,
  );
});

test('the provider is told with its limits, or that there is none, and nothing where the policy has no provider', () => {
  const limits = { connections: 20, messagesPerMinute: null, messagesPerConnection: 50 };
  const provider = { name: 'google', mxHosts: ['*.google.com'], limits, warmUp: null, retry: null };
  assert.match(
    told({ provider }),
    /^provider +google \(outbound\.providers\), for all its domains: 20 connections, 50 messages over each connection$/m,
  );
  const warmUp = { startDate: '2026-12-01', days: 30, messagesPerHour: 20 };
  assert.match(
    told({ provider: { ...provider, warmUp } }),
    /, warm-up from 20 messages an hour, 30 days from 2026-12-01$/m,
  );
  assert.match(told({ provider: null }), /^provider +none of outbound\.providers: /m);
  assert.doesNotMatch(told({}), /provider/);
});

test('a host without a usable address is told with what follows from it, and shows no consequences of TLS', () => {
  const dns = (status: string) => makeFailure({ cause: 'dns', status, text: 'no address' });
  const without = (status: string) =>
    told({ end: dns(status) }, { addresses: { kind: 'none', failure: dns(status) } });
  assert.match(without('4.4.3'), /^ {2}address +4\.4\.3 no address: .* the mail waits$/m);
  assert.match(without('4.4.3'), /^result +no host can be had now: the mail waits: 4\.4\.3 no address$/m);
  assert.match(without('5.4.4'), /^ {2}address +5\.4\.4 no address: .* the mail is returned$/m);
  assert.match(
    without('5.4.4'),
    /^result +no host can be had now: the mail is returned: 5\.4\.4 no address$/m,
  );
  assert.doesNotMatch(without('4.4.3'), /plain text/);
  const addresses = Array.from({ length: 7 }, (_, index) => `192.0.2.${index}`);
  assert.match(
    told({}, { addresses: { kind: 'addresses', addresses } }),
    /^ {2}address +192\.0\.2\.0, .*192\.0\.2\.4 and 2 more$/m,
  );
  assert.doesNotMatch(told({}), /^result/m);
});

test('a domain without MX records, an address, and policies that nobody knows of', () => {
  const mx = (step: Ladder['mx']) => told({ mx: step });
  assert.match(
    mx({ kind: 'implicit', domain: 'example.net', isSigned: false }),
    /^MX +none: the host is example\.net itself \(RFC 5321 section 5\.1\), not proven by DNSSEC$/m,
  );
  assert.match(
    mx({ kind: 'literal', domain: '[192.0.2.1]' }),
    /^MX +not looked up: \[192\.0\.2\.1\] is an address$/m,
  );
  assert.match(told({}), /^MTA-STS +no policy$/m);
  assert.match(
    told({ isStsRecordKnown: false }),
    /^MTA-STS +the name server cannot say .*: as without one$/m,
  );
  assert.match(told({ knowsHeldPolicies: false }), /^MTA-STS +no policy is published; .* \(--state DIR\)$/m);
});
