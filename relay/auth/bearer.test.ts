import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BEARER_REFUSED, oauthBearerToken } from './bearer.ts';

test('the token of an initial response, with and without a user and further fields', () => {
  // The example of RFC 7628 section 4.1.
  const example =
    'n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01';
  assert.equal(oauthBearerToken(example), 'vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==');
  assert.equal(oauthBearerToken('n,,\x01auth=bearer a.b-c_d~e\x01\x01'), 'a.b-c_d~e');
});

test('no token, another scheme, or a channel binding is none', () => {
  for (const text of [
    '',
    'n,,\x01\x01',
    'n,,\x01auth=Basic abc\x01\x01',
    'n,,\x01auth=Bearer \x01\x01',
    'n,,\x01auth=Bearer a b\x01\x01',
    'p=tls-exporter,,\x01auth=Bearer abc\x01\x01',
  ])
    assert.equal(oauthBearerToken(text), undefined, JSON.stringify(text));
});

test('a refusal is JSON in base64', () => {
  assert.deepEqual(JSON.parse(Buffer.from(BEARER_REFUSED, 'base64').toString()), {
    status: 'invalid_token',
    schemes: 'bearer',
  });
});
