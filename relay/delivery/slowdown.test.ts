import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asksToSlowDown } from './slowdown.ts';

const asks = (line: string) => asksToSlowDown(Number(line.slice(0, 3)), line);

/** As the receivers write them. */
const ASKING = {
  Gmail: [
    '421-4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP address.',
    '421-4.7.0 [192.0.2.1 15] Our system has detected an unusual rate of unsolicited mail originating from your IP address.',
    '421 4.7.0 Try again later, closing connection. (EHLO)',
    '421 4.4.5 Server busy, try again later.',
    '450 4.2.1 Peak SMTP relay limit exceeded for this customer. This is a temporary error.',
  ],
  Microsoft: [
    '451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (S77719)',
    '451 4.7.501 Access denied, please try again later (AS7171)',
    '451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation. (S775)',
    '451 4.7.652 The mail server [192.0.2.1] has exceeded the maximum number of connections. (S3115)',
    "421 RP-001 (SNT0-MC2-F19) Unfortunately, some messages from 192.0.2.1 weren't sent. Please try again. We have limits for how many messages can be sent per hour and per day.",
    '421 4.3.2 The maximum number of concurrent server connections has exceeded a limit, closing transmission channel',
    '421 4.4.2 Message submission rate for this client has exceeded the configured limit',
  ],
  Yahoo: [
    '421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1',
    '421 4.7.0 [TS01] Messages from 192.0.2.1 temporarily deferred due to user complaints - 4.16.55.1',
    '421 Message from (192.0.2.1) temporarily deferred - 4.16.50',
  ],
  iCloud: ['421 4.7.1 Messages to joe@icloud.com deferred due to excessive volume. Try again later'],
  Postfix: [
    '421 4.7.0 mx.example Error: too many connections from 192.0.2.1',
    '450 4.7.1 Error: too much mail from 192.0.2.1',
    '450 4.7.1 Error: too many recipients from 192.0.2.1',
    '421 4.7.0 mx.example Error: too many new TLS sessions from 192.0.2.1',
    '421 4.3.2 All server ports are busy',
  ],
  Exim: [
    '421 Too many concurrent SMTP connections; please try again later.',
    '451 The server has reached its limit for processing requests from your host. Please try again later.',
  ],
  Sendmail: ['452 4.3.2 Connection rate limit exceeded.', '421 4.3.2 Too many open connections.'],
  rspamd: ['451 4.7.1 Ratelimit "to_ip_from" exceeded'],
  others: [
    '421 try again later',
    '452 Too many messages in this session',
    '450 too many connections from your IP (rate controlled)',
    '454 Throttling failure: maximum sending rate exceeded',
    '421 Service not available, slow down',
  ],
  'this relay': [
    '421 4.7.0 Too many connections from your address',
    '421 4.3.2 Too many connections, try again later',
    '450 4.7.1 Too many messages from your address, try again in a minute',
    '450 4.7.1 Too many messages of this login, try again in a minute',
  ],
};

const NOT_ASKING = {
  greylisting: [
    '450 4.7.1 Greylisted, see http://postgrey.example',
    '450 4.2.0 <joe@b.example>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/b.example.html',
    '451 4.7.1 Greylisting in action, please come back later',
    '451 4.7.1 Try again later',
    '451 4.7.1 Please try again later',
    '450-4.7.1 come back later',
    '421 4.7.0 you are gray-listed',
    '451 4.7.5 Greylisted, too many connections',
  ],
  'other reasons with 4.7.x': [
    '450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]',
    '450 4.7.1 <mail>: Helo command rejected: Host not found',
    '451 4.7.24 SPF validation could not be completed',
    '454 4.7.0 TLS not available due to local problem',
    '454 4.7.0 Temporary authentication failure',
    '435 4.7.8 Authentication failed',
    '454 4.7.1 <joe@b.example>: Relay access denied',
    // A milter of the receiver is away.
    '451 4.7.1 Service unavailable - try again later',
    '451 4.7.1 The content filter cannot judge the message now, try again later',
    '450 4.7.1 Too many reports, try again in a minute',
  ],
  'one recipient': [
    '450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages from being delivered.',
    '450 4.2.1 The user you are trying to contact is receiving email too quickly.',
    '450-4.2.1 mailbox busy, rate limit',
    '452 4.2.2 mailbox full',
    '452 4.5.3 Too many recipients, send the rest in another transaction',
    '432 4.3.2 STOREDRV.Deliver; recipient thread limit exceeded',
    '452 4.1.1 too many connections for this address',
  ],
  'a server that ends': [
    '421 4.4.2 mx.example Error: timeout exceeded',
    '421-4.3.2 Service shutting down',
    '421 4.3.0 Temporary System Problem. Try again later',
  ],
  'no delay': [
    '550 5.7.1 rate limit exceeded',
    '554 5.7.28 mail flood',
    '250 2.0.0 server is busy but took it',
    '451 4.3.0 the disk is full, see 4.7.28',
  ],
};

for (const [by, lines] of Object.entries(ASKING))
  test(`${by}: asks for fewer messages`, () => {
    for (const line of lines) assert.equal(asks(line), true, line);
  });

for (const [what, lines] of Object.entries(NOT_ASKING))
  test(`${what}: asks for nothing`, () => {
    for (const line of lines) assert.equal(asks(line), false, line);
  });

test('no reply asks for nothing', () => {
  assert.equal(asksToSlowDown(undefined, 'rate limit'), false);
});
