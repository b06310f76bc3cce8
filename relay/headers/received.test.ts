import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderReceived, type Trace } from './received.ts';

const trace: Trace = {
  helo: 'client.example',
  client: '192.0.2.1',
  hostname: 'relay.example.com',
  queueId: '1k86ld9njg720qjr',
  esmtp: true,
  smtpUtf8: false,
  authenticated: false,
  tls: { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', group: null },
  recipients: ['you@example.net'],
  at: new Date(Date.UTC(2026, 10, 24, 11, 22, 33)),
};

test('the header names client, protocol, TLS, id, recipient and time', () => {
  assert.equal(
    renderReceived(trace, 'Full'),
    [
      'Received: from client.example ([192.0.2.1])',
      '\tby relay.example.com (mailrelay) with ESMTPS id 1k86ld9njg720qjr',
      '\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384)',
      '\tfor <you@example.net>;',
      '\tTue, 24 Nov 2026 11:22:33 +0000',
      '',
    ].join('\r\n'),
  );
});

test('protocols by RFC 3848 and RFC 6531', () => {
  const protocol = (changes: Partial<Trace>) =>
    / with (\S+) id /.exec(renderReceived({ ...trace, ...changes }, 'Full'))?.[1];
  assert.equal(protocol({ esmtp: false, tls: null }), 'SMTP');
  assert.equal(protocol({ tls: null }), 'ESMTP');
  assert.equal(protocol({}), 'ESMTPS');
  assert.equal(protocol({ authenticated: true }), 'ESMTPSA');
  assert.equal(protocol({ tls: null, smtpUtf8: true }), 'UTF8SMTP');
  assert.equal(protocol({ smtpUtf8: true }), 'UTF8SMTPS');
  assert.equal(protocol({ smtpUtf8: true, authenticated: true }), 'UTF8SMTPSA');
});

test('only a single recipient in ASCII is named, so the field needs no SMTPUTF8 of a next hop', () => {
  const named = (...recipients: string[]) =>
    /for <(.*)>/.exec(renderReceived({ ...trace, smtpUtf8: true, recipients }, 'Full'))?.[1];
  assert.equal(named('you@xn--bcher-kva.example'), 'you@xn--bcher-kva.example');
  assert.equal(named('"a b"@example.net'), '"a b"@example.net');
  assert.equal(named('josé@example.net'), undefined);
  assert.equal(named('a@example.net', 'b@example.net'), undefined);
});

test('what a client calls itself cannot add a header, and IPv6 is marked', () => {
  const header = renderReceived(
    { ...trace, helo: 'x\r\nBcc: evil@example.com (', client: '2001:db8::1' },
    'Full',
  );
  assert.match(header, /^Received: from x\?\?Bcc:\?evil\?example\.com\?\? \(\[IPv6:2001:db8::1\]\)\r\n/);
});

test('without the client nothing of it is told, but the transport is', () => {
  const header = renderReceived(trace, 'NoClient');
  assert.match(
    header,
    /^Received: by relay\.example\.com \(mailrelay\) with ESMTPS id 1k86ld9njg720qjr\r\n\t\(using/,
  );
  assert.doesNotMatch(header, /client\.example|192\.0\.2\.1/);
  assert.equal(renderReceived(trace, 'None'), '');
});
