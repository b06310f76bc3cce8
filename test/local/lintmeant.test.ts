/** `mailrelay lint` of what a person meant as a MailRelay in YAML, and the API server would not take as one. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { mailrelay } from '#test/kit/relay.ts';

const GOOD = `apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: relay}
spec:
  hostname: relay.example.com
  tls: {secretName: relay-tls}
  inbound:
    listeners: [{name: smtp, port: 25}]
`;
const NO_TEXT = 'this is no text: save the file in UTF-8, without control characters';

let dir = '';

before(() => {
  dir = mkdtempSync(join(tmpdir(), 'mailrelay-meant-'));
});

after(() => rmSync(dir, { recursive: true, force: true }));

async function lint(content: string | Buffer) {
  writeFileSync(join(dir, 'a.yaml'), content);
  return mailrelay(['lint', 'a.yaml'], dir);
}

test('another kind in the place of MailRelay is a fault, also beside a good one', async () => {
  for (const [kind, words] of [
    ['kind: Mailrelay', 'must be MailRelay, not "Mailrelay": did you mean MailRelay?'],
    ['kind: MailRelays', 'must be MailRelay, not "MailRelays": did you mean MailRelay?'],
    ['kind: Certificate', 'must be MailRelay, not "Certificate"'],
    ['kind: 5', 'must be MailRelay, not 5'],
    ['kinds: MailRelay', 'is required: set it to MailRelay'],
  ] as const)
    for (const before of ['', `${GOOD}---\n`]) {
      const { status, stdout } = await lint(before + GOOD.replace('kind: MailRelay', kind));
      assert.equal(status, 1, kind);
      assert.ok(stdout.includes(`: kind: ${words}\n`), stdout);
    }
});

test('with the kind in other letters it is meant, whatever its group is', async () => {
  const text = GOOD.replace('MailRelay', 'mailRelay').replace('mailrelay.dev', 'mailrelay.example');
  const { stdout } = await lint(text);
  assert.match(stdout, /^a\.yaml:1:13: apiVersion: must be .*\na\.yaml:2:7: kind: must be .*\n$/);
});

test('the verbs that read one MailRelay say the same', async () => {
  writeFileSync(join(dir, 'a.yaml'), `${GOOD}---\n${GOOD.replace('MailRelay', 'Mailrelay')}`);
  const { status, stderr } = await mailrelay(['explain', 'joe@example.com', '-f', 'a.yaml'], dir);
  assert.equal(status, 1);
  assert.match(stderr, /^mailrelay: a\.yaml:11:7: kind: must be MailRelay, not "Mailrelay"/);
});

test('what is no text for the API server is a fault with a place, also in a comment', async () => {
  for (const [content, place] of [
    [Buffer.from(`${GOOD}# f\u00fcr\n`, 'latin1'), '9:4'],
    [Buffer.from(`\ufeff${GOOD}`, 'utf16le'), '1:1'],
    [Buffer.from(GOOD, 'utf16le'), '1:2'],
    [`${GOOD}# a bell \u0007\n`, '9:10'],
  ] as const) {
    const { status, stdout } = await lint(content);
    assert.deepEqual([status, stdout], [1, `a.yaml:${place}: ${NO_TEXT}\n`]);
  }
  const { stdout } = await lint(`\ufeff${GOOD}# \u4e2d\u6587 \u{1f4e7} \ufffd\r\n`);
  assert.equal(stdout, 'a.yaml: MailRelay relay: ok\n');
});

test('the library of YAML writes nothing by itself, and a number that JSON cannot write is told', async () => {
  const { stdout, stderr } = await lint(`${GOOD.replace('port: 25', 'port: .inf')}  ? [a, b]\n  : c\n`);
  assert.equal(stderr, '');
  assert.match(stdout, /listeners\[0\]\.port: must be a number, not Infinity\n/);
});
