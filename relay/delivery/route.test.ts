import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hopTo, policyOf, routeTo } from '#test/kit/relayrig.ts';
import { compileRoutes } from './route.ts';

const partner = hopTo(25, { host: 'mx.partner.example', tlsLevel: 'Verify' });
const smart = hopTo(587, { host: 'smtp.provider.example' });
const routes = [routeTo(['partner.example'], [partner])];
const from = 'me@example.com';

test('a route wins over the smart hosts, by exactly its domain', () => {
  const route = compileRoutes(policyOf({}, { routes, smartHosts: [smart] }));
  assert.equal(route(from, 'you@partner.example').rule, 'outbound.routes[0]');
  assert.equal(route(from, 'you@PARTNER.example.').rule, 'outbound.routes[0]');
  assert.equal(route(from, 'you@sub.partner.example').rule, 'outbound.smartHosts');
  assert.equal(route(from, 'you@other.example').rule, 'outbound.smartHosts');
});

test('without smart hosts the MX hosts of the domain take it, at the level of outbound.tls', () => {
  const destination = compileRoutes(policyOf({}, { tlsLevel: 'Encrypt', routes }))(from, 'you@Other.example');
  assert.deepEqual(destination, {
    kind: 'mx',
    key: 'other.example Encrypt TLSv1.2',
    name: 'other.example',
    rule: 'outbound.tls (MX)',
    domain: 'other.example',
    tlsLevel: 'Encrypt',
    minTlsVersion: 'TLSv1.2',
    sourceAddresses: [],
    socksProxy: null,
  });
});

test('another source address is another destination, which waits by itself', () => {
  const direct = (senders: string[], sourceAddresses: string[]) =>
    routeTo(['other.example'], [], { hosts: null, senders, sourceAddresses });
  const route = compileRoutes(
    policyOf({}, { routes: [direct(['news.example'], ['192.0.2.7']), direct(['shop.example'], [])] }),
  );
  const [news, shop] = ['a@news.example', 'a@shop.example'].map((from) => route(from, 'you@other.example'));
  assert.notEqual(news?.key, shop?.key);
  assert.deepEqual(news?.kind === 'mx' && news.sourceAddresses, ['192.0.2.7']);
});

test('limits of a route are those of its destinations, by hosts and by MX, and make them separate', () => {
  const limits = { connectionsPerDestination: 2, messagesPerDestinationPerMinute: 30 };
  const hosts = [hopTo(25, { host: 'mx.partner.example' })];
  const route = compileRoutes(
    policyOf(
      {},
      {
        routes: [
          routeTo(['slow.example'], hosts, { limits }),
          routeTo(['fast.example'], hosts),
          routeTo(['slowmx.example'], [], { hosts: null, limits }),
        ],
      },
    ),
  );
  const of = (domain: string) => route(from, `you@${domain}.example`);
  assert.deepEqual([of('slow').limits, of('slowmx').limits], [limits, limits]);
  assert.equal('limits' in of('fast') || 'limits' in of('other'), false);
  assert.notEqual(of('slow').key, of('fast').key);
});

test('retries of a route are those of its destinations, which wait by themselves', () => {
  const retry = { backoff: { minSeconds: 10, maxSeconds: 60 }, expireAfterSeconds: 900 };
  const byMx = (sender: string, changes: Parameters<typeof routeTo>[2]) =>
    routeTo(['other.example'], [], { hosts: null, senders: [sender], ...changes });
  const route = compileRoutes(
    policyOf({}, { routes: [byMx('login@example.com', { retry }), byMx('news@example.com', {})] }),
  );
  const [login, news] = ['login', 'news'].map((name) => route(`${name}@example.com`, 'you@other.example'));
  assert.deepEqual([login?.retry, news && 'retry' in news], [retry, false]);
  assert.notEqual(login?.key, news?.key);
  // Its mail goes the same way: see digestDestination of the queue.
  assert.equal(login?.key, `${news?.key}${login?.pacing}`);
});

test('mail for the address of TLS reports ends here, whatever routes there are', () => {
  const tlsReports = { address: 'Tls-Reports@partner.example' };
  const route = compileRoutes(policyOf({ tlsReports }, { routes, smartHosts: [smart] }));
  assert.deepEqual(route('', 'tls-reports@Partner.example'), {
    kind: 'local',
    key: 'local tlsReports',
    name: 'this relay',
    rule: 'inbound.tlsReports',
    reports: 'tlsReports',
  });
  const both = compileRoutes(
    policyOf({ tlsReports, feedbackReports: { address: 'complaints@partner.example' } }),
  );
  const complaints = both('', 'Complaints@partner.example');
  assert.deepEqual([complaints.kind, complaints.rule], ['local', 'inbound.feedbackReports']);
  assert.notEqual(complaints.key, both('', tlsReports.address).key, 'a mail for both goes to each alone');
  assert.equal(route(from, 'you@partner.example').rule, 'outbound.routes[0]');
  assert.equal(route(from, 'tls-reports@other.example').rule, 'outbound.smartHosts');
});

test('hosts that differ only in their promises are different destinations', () => {
  const weak = hopTo(25, { host: 'mx.partner.example', tlsLevel: 'None' });
  const route = compileRoutes(policyOf({}, { routes: [...routes, routeTo(['weak.example'], [weak])] }));
  assert.notEqual(route(from, 'a@partner.example').key, route(from, 'a@weak.example').key);
});

test('routes are tried in order, by recipient, by sender, or by both; without hosts they lead to the MX', () => {
  const by = (name: string) => hopTo(25, { host: name });
  const route = compileRoutes(
    policyOf(
      {},
      {
        smartHosts: [smart],
        routes: [
          routeTo(['*.partner.example'], [by('below')]),
          routeTo(['partner.example'], [by('both')], { senders: ['vip@example.com'] }),
          routeTo(['partner.example'], [by('exact')]),
          {
            ...routeTo([], [by('shop')], { tlsLevel: 'Encrypt' }),
            recipientDomains: null,
            senders: ['*.shop.example', 'shop.example'],
          },
          routeTo(['direct.example'], [], { hosts: null, tlsLevel: 'Verify', minTlsVersion: 'TLSv1.1' }),
        ],
      },
    ),
  );
  const way = (sender: string, to: string) => route(sender, to).name.replace(/:\d+$/, '');
  assert.equal(way(from, 'a@x.partner.example'), 'below');
  assert.equal(way('VIP@example.com', 'a@partner.example'), 'both');
  assert.equal(way(from, 'a@partner.example'), 'exact');
  assert.equal(way('a@eu.shop.example', 'a@other.example'), 'shop');
  assert.equal(way('a@shop.example', 'a@other.example'), 'shop');
  assert.equal(way('', 'a@other.example'), 'smtp.provider.example');
  const direct = route(from, 'a@direct.example');
  assert.deepEqual([direct.kind, direct.rule], ['mx', 'outbound.routes[4] (MX)']);
  assert.deepEqual(direct.kind === 'mx' && [direct.tlsLevel, direct.minTlsVersion], ['Verify', 'TLSv1.1']);
});

test('a route by sender cannot be escaped by another form of the same address', () => {
  const held = routeTo([], [partner], { recipientDomains: null, senders: ['joe@x.example', '*.y.example'] });
  const route = compileRoutes(policyOf({}, { routes: [held], smartHosts: [smart] }));
  const rule = (sender: string) => route(sender, 'you@z.example').rule;
  for (const sender of [
    'joe@x.example',
    'JOE@x.example.',
    '"joe"@x.example',
    '"j\\oe"@X.example',
    '"a@b"@a.y.example',
  ])
    assert.equal(rule(sender), 'outbound.routes[0]', sender);
  for (const sender of [
    '',
    'joe',
    '"joe@x.example"',
    '"joe "@x.example',
    '"joe@x.example"@z.example',
    'a@y.example',
  ])
    assert.equal(rule(sender), 'outbound.smartHosts', sender);
});

test('the address of reports is known in every form', () => {
  const policy = policyOf({ feedbackReports: { address: 'fbl@relay.example' } }, { smartHosts: [smart] });
  const route = compileRoutes(policy);
  for (const to of [
    'fbl@relay.example',
    'FBL@Relay.example.',
    '"fbl"@relay.example',
    '"f\\bl"@relay.example',
  ])
    assert.equal(route('', to).rule, 'inbound.feedbackReports', to);
  assert.equal(route('', '"fbl@relay.example"@z.example').rule, 'outbound.smartHosts');
});

test('a long sender takes the route of its domain, also with the quotes or the domain that the relay has added', () => {
  const routes = [routeTo([], [partner], { recipientDomains: null, senders: ['x.example'] })];
  const route = compileRoutes(policyOf({}, { routes, smartHosts: [smart] }));
  for (const sender of [`"${'a'.repeat(240)}..b"@x.example`, `${'a'.repeat(253)}@x.example`])
    assert.equal(route(sender, 'you@z.example').rule, 'outbound.routes[0]');
});
