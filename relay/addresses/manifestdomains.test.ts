/** The relay reads every domain, host and address that the API server takes, in each field, as the same text. */
import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import { validateMailRelay } from '#crds/validate.ts';
import { DOMAIN_FIELDS, type Reading, valuesOf } from '#test/fixtures/domains.ts';
import { changed, document } from '#test/fixtures/manifests.ts';
import { isRouting, readDomain, readMailbox } from './address.ts';
import { readKey } from './addressmap.ts';
import { compileSenders } from './senders.ts';

const isDomain = (text: string) => readDomain(text) === text;
const isAddress = (text: string) => (readMailbox(text)?.domain ?? '') !== '';

const READERS: Readonly<Record<Reading, (text: string) => boolean>> = {
  domain: isDomain,
  'domain pattern': (text) => isDomain(text.replace(/^\*\./, '')),
  address: isAddress,
  'sender pattern': (text) => compileSenders([text]) !== undefined,
  host: (text) => isIP(text) !== 0 || isDomain(text.replace(/\.$/, '')),
  key: (text) => readKey(text) !== undefined,
  target: (text) => (text.startsWith('@') ? readDomain(text.slice(1)) !== undefined : isAddress(text)),
  'recipient target': (text) => {
    const mailbox = readMailbox(text.startsWith('@') ? `joe${text}` : text);
    return mailbox !== undefined && mailbox.domain !== '' && !isRouting(mailbox);
  },
  url: (text) => URL.canParse(text),
};

const isTaken = (spec: Readonly<Record<string, unknown>>) =>
  validateMailRelay(document(changed(spec))).kind === 'valid';

for (const { field, reading, at } of DOMAIN_FIELDS)
  test(`${field}: what the API server takes, the relay reads`, () => {
    const taken = valuesOf(reading).filter((value) => isTaken(at(value)));
    const unread = taken.filter((value) => !READERS[reading](value));
    assert.deepEqual(unread, []);
    for (const usual of ['example.com', 'xn--bcher-kva.example', '123.example', 'example.12a'])
      assert.ok(
        taken.some((value) => value.includes(usual)),
        `${usual} is not taken`,
      );
    if (reading === 'target' || reading === 'recipient target')
      for (const usual of ['@example.com', 'joe@b\u00fccher.example', '"a b"@example.com'])
        assert.ok(taken.includes(usual), `${usual} is not taken`);
  });

test('a name that ends in a number is told in words, once', () => {
  const judged = validateMailRelay(
    document(
      changed({
        inbound: { listeners: [{ name: 'smtp', port: 25 }], acceptDomains: ['example.123', 'a b.1'] },
      }),
    ),
  );
  assert.deepEqual(
    judged.kind === 'invalid' && judged.faults.map(({ path, message }) => `${path} ${message}`),
    [
      'spec.inbound.acceptDomains[0] must be a name whose last part is no number',
      'spec.inbound.acceptDomains[1] must be a host name in lower case, such as relay.example.com, not "a b.1"',
    ],
  );
});
