import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asksToSlowDown } from './slowdown.ts';

const asks = (line: string) => asksToSlowDown(Number(line.slice(0, 3)), line);

test('421, a policy status and known words ask for fewer messages', () => {
  for (const line of [
    '421 try again later',
    '421 4.7.28 An unusual rate of mail comes from your address',
    '421 4.7.0 [TSS04] Messages temporarily deferred due to unexpected volume or user complaints',
    '451 4.7.500 Server busy. Please try again later',
    '450-4.7.1 come back later',
    '451 4.7.650 The mail server has been temporarily rate limited due to IP reputation',
    '452 Too many messages in this session',
    '421 4.3.2 Too many simultaneous connections',
    '450 4.3.2 too many concurrent connections',
    '454 Throttling failure: maximum sending rate exceeded',
  ])
    assert.equal(asks(line), true, line);
});

test('a full mailbox, greylisting, a refusal for good and no reply do not', () => {
  for (const line of [
    '452 4.2.2 mailbox full',
    '421 4.4.2 mx.example Error: timeout exceeded',
    '421-4.3.2 Service shutting down',
    '450 4.2.1 this user gets too much mail',
    '451 4.3.0 the disk is full, see 4.7.1',
    '450 4.7.1 Greylisted, see http://postgrey.example',
    '451 4.7.1 Greylisting in action',
    '421 4.7.0 you are gray-listed',
    '550 5.7.1 rate limit exceeded',
    '250 2.0.0 server is busy but took it',
  ])
    assert.equal(asks(line), false, line);
  assert.equal(asksToSlowDown(undefined, 'rate limit'), false);
});
