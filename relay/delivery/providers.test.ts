import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { hopTo } from '#test/kit/relayrig.ts';
import { compileProviders } from './providers.ts';

const limits = { connections: null, messagesPerMinute: null, messagesPerConnection: 100 };
const rest = { limits, warmUp: null, retry: null };
const PROVIDERS = [
  { name: 'google', mxHosts: ['*.google.com', '*.googlemail.com'], ...rest },
  { name: 'one', mxHosts: ['mx.one.example', 'smtp.google.com'], ...rest },
  { name: 'microsoft', mxHosts: ['*.mail.protection.outlook.com'], ...rest },
];
const mx = (host: string, priority = 10) => ({ ...hopTo(25, { host, priority }), mxOf: 'a.example' });
const nameFor = (...hops: ReturnType<typeof mx>[]) => compileProviders(PROVIDERS)?.findForAll(hops)?.name;

test('the hosts of the best preference name the provider, in the order of the list', () => {
  assert.equal(nameFor(mx('aspmx.l.google.com', 1), mx('mx.one.example', 5)), 'google');
  assert.equal(nameFor(mx('mx.one.example', 5), mx('aspmx.l.google.com', 10)), 'one');
  assert.equal(nameFor(mx('mx.other.example', 1), mx('aspmx.l.google.com', 2)), undefined);
  assert.equal(nameFor(mx('mx.one.example'), mx('mx.other.example'), mx('alt1.googlemail.com')), 'google');
  assert.equal(nameFor(mx('smtp.google.com')), 'google');
  assert.equal(nameFor(mx('EXAMPLE-COM.Mail.Protection.Outlook.com')), 'microsoft');
  assert.equal(nameFor(), undefined);
});

test('a name that only ends alike, the domain itself, and a host of the manifest match nothing', () => {
  for (const host of ['google.com', 'evilgoogle.com', 'x.google.com.evil.example', 'a.mx.one.example'])
    assert.equal(nameFor(mx(host)), undefined);
  assert.equal(compileProviders(PROVIDERS)?.findFor(hopTo(25, { host: 'aspmx.l.google.com' })), undefined);
  assert.equal(compileProviders([]), undefined);
});

test('any host below a pattern matches, however deep and in whatever case', () => {
  const label = fc.stringMatching(/^[a-zA-Z0-9]{1,8}$/);
  fc.assert(
    fc.property(fc.array(label, { minLength: 1, maxLength: 4 }), (labels) => {
      assert.equal(nameFor(mx(`${labels.join('.')}.GoogleMail.com`)), 'google');
      assert.equal(nameFor(mx(`${labels.join('.')}googlemail.com`)), undefined);
    }),
  );
});
