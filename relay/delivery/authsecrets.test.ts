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

for (const [mechanism, lineWith] of Object.entries(LINES)) {
  test(`no part of a secret of ${mechanism} is left, in any form, wherever it was cut off`, () => {
    fc.assert(
      fc.property(
        fc
          .string({ unit: 'grapheme-ascii', minLength: 8, maxLength: 60 })
          .filter((text) => !/[<> ]/.test(text)),
        fc.nat(),
        (secret, cut) => {
          const secrets = new AuthSecrets();
          const line = lineWith(secret);
          secrets.add(line);
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
        const secrets = new AuthSecrets();
        secrets.add(base64(secret));
        const hex = Buffer.from(secret).toString('hex');
        const forms = [secret, base64(secret), hex, hex.toUpperCase(), encodeURIComponent(secret)];
        for (const form of forms) {
          assert.equal(secrets.blank(`530 <${form}> is wrong`), '530 <***> is wrong');
          const lines = form.match(new RegExp(`.{1,${width}}`, 'g')) ?? [];
          assert.match(secrets.blank(lines.join('\n530-')), /^\*\*\*(?:\n530-\*\*\*)*$/);
        }
      },
    ),
  );
});

test('a short secret is blanked out as a whole, and other text stays', () => {
  const secrets = new AuthSecrets();
  secrets.add(base64('hello'));
  assert.equal(secrets.blank('250 hello, hell'), '250 ***, hell');
  assert.equal(new AuthSecrets().blank('250 hello'), '250 hello');
});

test('a secret beyond ASCII is blanked out also in text that was not decoded', () => {
  for (const secret of ['gehéimwörtßäöü', 'пароль', 'schlüsselbund']) {
    const secrets = new AuthSecrets();
    secrets.add(base64(`\0me\0${secret}`));
    const bytes = Buffer.from(secret).toString('latin1');
    assert.equal(secrets.blank(`550 <${secret}> <${bytes}>`), '550 <***> <***>');
    // Cut off in the middle of a character.
    if (bytes.length > 8)
      assert.equal(secrets.blank(`550 ${bytes.slice(0, -1)}`).includes(bytes.slice(0, 8)), false);
  }
});

test('of a reply its code and its status are read', () => {
  assert.equal(readCodes('535-5.7.8 no\n535 5.7.8 AUTH PLAIN AGFs'), '535 5.7.8');
  assert.equal(readCodes('535 AUTH PLAIN AGFs'), '535');
  assert.equal(readCodes('AGFs'), '');
});
