import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoopGuard, receivedHeader, type Trace } from './received.ts';

const trace: Trace = {
  helo: 'client.example',
  client: '192.0.2.1',
  hostname: 'relay.example.com',
  queueId: '1k86ld9njg720qjr',
  esmtp: true,
  smtpUtf8: false,
  authenticated: false,
  tls: { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', group: null },
  recipient: 'you@example.net',
  at: new Date(Date.UTC(2026, 10, 24, 11, 22, 33)),
};

test('the header names client, protocol, TLS, id, recipient and time', () => {
  assert.equal(
    receivedHeader(trace),
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
    / with (\S+) id /.exec(receivedHeader({ ...trace, ...changes }))?.[1];
  assert.equal(protocol({ esmtp: false, tls: null }), 'SMTP');
  assert.equal(protocol({ tls: null }), 'ESMTP');
  assert.equal(protocol({}), 'ESMTPS');
  assert.equal(protocol({ authenticated: true }), 'ESMTPSA');
  assert.equal(protocol({ tls: null, smtpUtf8: true }), 'UTF8SMTP');
  assert.equal(protocol({ smtpUtf8: true }), 'UTF8SMTPS');
  assert.equal(protocol({ smtpUtf8: true, authenticated: true }), 'UTF8SMTPSA');
});

test('what a client calls itself cannot add a header, and IPv6 is marked', () => {
  const header = receivedHeader({ ...trace, helo: 'x\r\nBcc: evil@example.com (', client: '2001:db8::1' });
  assert.match(header, /^Received: from x\?\?Bcc:\?evil\?example\.com\?\? \(\[IPv6:2001:db8::1\]\)\r\n/);
});

function hops(
  count: number,
  chunkBytes: number,
  tail = 'Subject: x\r\n\r\nReceived: in the body\r\n',
): boolean {
  const guard = new LoopGuard();
  const text = Buffer.from(`${'rEceived: from a\r\n'.repeat(count)}${tail}`);
  for (let at = 0; at < text.length; at += chunkBytes) {
    if (!guard.passes(text.subarray(at, at + chunkBytes))) return false;
  }
  return true;
}

test('fifty hops pass, fifty-one are a loop, however the message is cut', () => {
  for (const chunkBytes of [1, 7, 11, 64, 100_000]) {
    assert.equal(hops(50, chunkBytes), true, `${chunkBytes}`);
    assert.equal(hops(51, chunkBytes), false, `${chunkBytes}`);
  }
});

test('lines of the body are not counted', () => {
  assert.equal(hops(50, 13, `\r\n${'Received: quoted\r\n'.repeat(100)}`), true);
});
