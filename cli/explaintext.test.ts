/** "mailrelay explain" tells the way out of the pod: the source addresses and the proxy of each next hop. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { effectivePolicy } from '#crds/effective.ts';
import type { MailRelaySpec } from '#crds/mailrelay.ts';
import { describeTakenFrom, describeWay, findTakenFrom, findWay } from './explaintext.ts';

const hosts = [{ host: 'a.example' }];

function explain(to: string, outbound: MailRelaySpec['outbound']): string {
  const inbound = { listeners: [{ name: 'smtp', port: 25 }] };
  const spec = {
    hostname: 'relay.example.com',
    replicas: 1,
    tls: { secretName: 'relay-tls' },
    inbound,
    outbound,
  };
  const policy = effectivePolicy({ name: 'relay', namespace: 'mail' }, spec);
  return describeWay(findWay(policy, 'a@client.example', to));
}

test('MX hosts and hosts of a route are told with the addresses and the proxy that they are reached by', () => {
  const outbound: MailRelaySpec['outbound'] = {
    socksProxy: { host: '192.0.2.53', credentialsSecretName: 'socks' },
    routes: [
      { recipientDomains: ['own.example'], sourceAddresses: ['2001:db8::7', '192.0.2.7'] },
      { recipientDomains: ['hop.example'], socksProxy: { host: 'socks.example', port: 1081 }, hosts },
      { recipientDomains: ['straight.example'], hosts },
    ],
  };
  const rest = explain('b@rest.example', outbound);
  assert.match(rest, /MX hosts of rest\.example: .*; through the SOCKS proxy 192\.0\.2\.53:1080$/m);
  assert.match(
    explain('b@own.example', outbound),
    /MX hosts of own\.example: .*; from 2001:db8::7 or 192\.0\.2\.7$/m,
  );
  assert.match(
    explain('b@hop.example', outbound),
    /a\.example:25; .*; through the SOCKS proxy socks\.example:1081$/m,
  );
  assert.doesNotMatch(explain('b@straight.example', outbound), /SOCKS|; from/);
});

test('a host that expects a PROXY header is told with its version, and another one without', () => {
  const proxied = { host: 'gateway.example', proxyProtocol: { version: 'V2' as const } };
  const told = explain('b@rest.example', { smartHosts: [proxied, ...hosts] });
  assert.match(told, /gateway\.example:25; .*; begins with a PROXY header, V2$/m);
  assert.doesNotMatch(told, /a\.example:25; .*PROXY/);
});

test('a route inherits the source addresses of outbound, but not behind a proxy of its own', () => {
  const outbound: MailRelaySpec['outbound'] = {
    sourceAddresses: ['192.0.2.7'],
    smartHosts: hosts,
    routes: [
      { recipientDomains: ['mx.example'] },
      { recipientDomains: ['proxied.example'], socksProxy: { host: '192.0.2.53' } },
    ],
  };
  assert.match(explain('b@rest.example', outbound), /a\.example:25; .*; from 192\.0\.2\.7$/m);
  assert.match(explain('b@mx.example', outbound), /MX hosts of .*; from 192\.0\.2\.7$/m);
  assert.doesNotMatch(explain('b@proxied.example', outbound), /192\.0\.2\.7/);
});

test('mail for an address of reports is taken from anyone, by the field that says so, and ends here', () => {
  const inbound = {
    listeners: [{ name: 'smtp', port: 25 }],
    tlsReports: { address: 'tls-reports@relay.example.com' },
    feedbackReports: { address: 'complaints@relay.example.com' },
  };
  const spec = { hostname: 'relay.example.com', replicas: 1, tls: { secretName: 'relay-tls' }, inbound };
  const policy = effectivePolicy({ name: 'relay', namespace: 'mail' }, spec);
  const told = (to: string) => describeTakenFrom('', to, findTakenFrom(policy, to));
  assert.match(told('tls-reports@relay.example.com'), /anyone \(inbound\.tlsReports\)/);
  assert.match(told('Complaints@relay.example.com'), /anyone \(inbound\.feedbackReports\)/);
  assert.doesNotMatch(told('you@relay.example.com'), /anyone/);
});
