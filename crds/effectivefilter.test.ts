import assert from 'node:assert/strict';
import { test } from 'node:test';
import { effectiveFilter, effectiveListenerFilter } from './effectivefilter.ts';
import type { MailRelaySpec } from './mailrelay.ts';

type Listener = MailRelaySpec['inbound']['listeners'][number];

const inbound = (filter: MailRelaySpec['inbound']['filter']) => ({ listeners: [], filter });
const effective = (own: Listener['filter'], timeout = '1m') =>
  effectiveListenerFilter(
    { name: 'smtp', port: 25, filter: own },
    inbound({ url: 'https://filter.example', timeout, onFailure: 'Accept' }),
  );

test('a url without a path gets that of rspamd', () => {
  const urlOf = (url: string) => effectiveFilter(inbound({ url }))?.url;
  for (const url of ['http://rspamd.mail.svc:11334', 'http://rspamd.mail.svc:11334/'])
    assert.equal(urlOf(url), 'http://rspamd.mail.svc:11334/checkv2');
  for (const url of ['https://filter.example/rspamd/checkv2', 'https://[2001:db8::1]:1/a'])
    assert.equal(urlOf(url), url);
  assert.equal(effectiveFilter(inbound(undefined)), null);
});

test('a listener has the terms of the filter, or its own', () => {
  assert.deepEqual(effective(undefined), { timeoutSeconds: 60, onFailure: 'Accept' });
  assert.deepEqual(effective({ timeout: '5s' }), { timeoutSeconds: 5, onFailure: 'Accept' });
  assert.deepEqual(effective({ onFailure: 'Tempfail' }), { timeoutSeconds: 60, onFailure: 'Tempfail' });
  assert.equal(effective({ enabled: false }), null);
});

test('without a word a failure is temporary, after half a minute', () => {
  const plain = inbound({ url: 'https://filter.example' });
  assert.deepEqual(effectiveListenerFilter({ name: 'smtp', port: 25 }, plain), {
    timeoutSeconds: 30,
    onFailure: 'Tempfail',
  });
  assert.equal(effectiveListenerFilter({ name: 'smtp', port: 25 }, inbound(undefined)), null);
});
