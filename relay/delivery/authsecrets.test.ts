import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { AuthSecrets } from './authsecrets.ts';
import { readCodes } from './reply.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');

const LINES: Record<string, (secret: string) => string> = {
  PLAIN: (secret) => `AUTH PLAIN ${base64(`\0me\0${secret}`)}`,
  LOGIN: (secret) => base64(secret),
  XOAUTH2: (secret) => `AUTH XOAUTH2 ${base64(`user=me\x01auth=Bearer ${secret}\x01\x01`)}`,
};

/** As the library shows it. */
const MASKED = '/* secret */';

function saidOnce(secret: string, lineWith = base64): AuthSecrets {
  const secrets = new AuthSecrets();
  secrets.add(lineWith(secret), lineWith(MASKED));
  return secrets;
}

for (const [mechanism, lineWith] of Object.entries(LINES)) {
  test(`no part of a secret of ${mechanism} is left, in any form, wherever it was cut off`, () => {
    fc.assert(
      fc.property(
        fc
          .string({ unit: 'grapheme-ascii', minLength: 8, maxLength: 60 })
          .filter((text) => !/[<> ]/.test(text)),
        fc.nat(),
        (secret, cut) => {
          const secrets = saidOnce(secret, lineWith);
          const line = lineWith(secret);
          const encoded = line.slice(line.lastIndexOf(' ') + 1);
          for (const form of [encoded, secret, base64(secret)]) {
            const part = form.slice(0, 8 + (cut % (form.length - 7)));
            assert.equal(secrets.blank(`530 <${part}> is wrong`), '530 <***> is wrong');
          }
        },
      ),
    );
  });
}

test('no part of a secret is left that is broken into lines, or written in another way', () => {
  fc.assert(
    fc.property(
      fc
        .string({ unit: 'grapheme-ascii', minLength: 8, maxLength: 60 })
        .filter((text) => !/[<> \d]/.test(text)),
      fc.integer({ min: 1, max: 7 }),
      (secret, width) => {
        const secrets = saidOnce(secret);
        const hex = Buffer.from(secret).toString('hex');
        const forms = [secret, base64(secret), hex, hex.toUpperCase(), encodeURIComponent(secret)];
        for (const form of forms) {
          assert.equal(secrets.blank(`530 <${form}> is wrong`), '530 <***> is wrong');
          const lines = form.match(new RegExp(`.{1,${width}}`, 'g')) ?? [];
          for (const next of ['\n530-', '\n530-5.7.0 ', '\r\n530 5.7.0 ', '\n']) {
            const blanked = secrets.blank(lines.join(next));
            assert.deepEqual(new Set(blanked.split(next)), new Set(['***']));
          }
        }
      },
    ),
  );
});

test('no part of a secret is left that is encoded together with what a hop adds, such as its name', () => {
  const secret = 'open sesame, please';
  for (const [mechanism, lineWith] of Object.entries(LINES))
    for (const name of ['', 'a', 'me', 'bob', '\0', '\0\0'])
      for (const encoding of ['base64', 'base64url'] as const) {
        const said = Buffer.from(`${name}:${secret}\n`).toString(encoding);
        const [, begun = '', end = 'all'] = saidOnce(secret, lineWith)
          .blank(`550 ${said}`)
          .split(/ |\*\*\*/);
        // A group at each end may have one or two characters of it.
        const left = Buffer.from(begun, encoding).toString();
        assert.ok(!left.includes('ope') && end.length <= 4, `${mechanism} ${name}: ${begun}***${end}`);
      }
});

test('no group of a short secret is left either, whatever a hop puts before it and behind it', () => {
  for (const secret of ['hunter2', 'hunter', 'hunte'])
    for (const before of ['', 'a', 'me', 'bob:'])
      for (const behind of ['', '\n', ':x', '\0\0\0']) {
        const said = base64(`${before}${secret}${behind}`);
        const left = saidOnce(secret).blank(`535 ${said}`).slice(4).split('***');
        assert.ok(left.length === 2 && left.join('').length <= said.length - 4, `${said}: ${left.join()}`);
      }
});

test('a short secret is blanked out as a whole, and other text stays', () => {
  const secrets = saidOnce('hello');
  assert.equal(secrets.blank('250 hello, hell'), '250 ***, hell');
  assert.equal(new AuthSecrets().blank('250 hello'), '250 hello');
});

test('a secret beyond ASCII is blanked out also in text that was not decoded', () => {
  for (const secret of ['gehéimwörtßäöü', 'пароль', 'schlüsselbund']) {
    const secrets = saidOnce(secret, LINES['PLAIN']);
    const bytes = Buffer.from(secret).toString('latin1');
    assert.equal(secrets.blank(`550 <${secret}> <${bytes}>`), '550 <***> <***>');
    // Cut off in the middle of a character.
    if (bytes.length > 8)
      assert.equal(secrets.blank(`550 ${bytes.slice(0, -1)}`).includes(bytes.slice(0, 8)), false);
  }
});

test('what is said beside the secret stays: the name, also before the digest of CRAM-MD5, and all words around a token', () => {
  const name = 'relay@example.net';
  const digest = '9e95aee09c40af2b84a0c2b3bbae786e';
  const ways = {
    'CRAM-MD5': (secret: string) => base64(`${name} ${secret}`),
    PLAIN: (secret: string) => `AUTH PLAIN ${base64(`\0${name}\0${secret}`)}`,
    XOAUTH2: (secret: string) => `AUTH XOAUTH2 ${base64(`user=${name}\x01auth=Bearer ${secret}\x01\x01`)}`,
  };
  for (const lineWith of Object.values(ways)) {
    const secrets = saidOnce(digest, lineWith);
    const told = '550 5.1.1 <bob@example.net>: user=bob auth=Bearer unknown at mx.example.net';
    assert.equal(secrets.blank(told), told);
    assert.equal(secrets.blank(`550 <${name} ${digest}>`), `550 <${name} ***>`);
    assert.equal(secrets.blank(`550 <${lineWith(digest).split(' ').at(-1)}>`), '550 <***>');
  }
});

test('a secret is cleared also where it has control characters', () => {
  for (const lineWith of Object.values(LINES)) {
    const secret = 'one-half\x01other-half';
    assert.equal(saidOnce(secret, lineWith).blank(`550 <${secret}> one-half`), '550 <***> ***');
  }
});

test('the secrets of several lines are cleared from one reply, and the oldest is forgotten', () => {
  const secrets = new AuthSecrets();
  const words = ['alpha-riddle', 'beta-cipher!', 'gamma', 'delta-enigma', 'epsilon-word'];
  for (const word of words) secrets.add(base64(word), base64(MASKED));
  assert.equal(secrets.blank(`550 ${words.join(' ')}`), '550 alpha-riddle *** *** *** ***');
});

test('of a reply its code and its status are read', () => {
  assert.equal(readCodes('535-5.7.8 no\n535 5.7.8 AUTH PLAIN AGFs'), '535 5.7.8');
  assert.equal(readCodes('535 AUTH PLAIN AGFs'), '535');
  assert.equal(readCodes('AGFs'), '');
});
