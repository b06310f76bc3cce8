/**
 * A corpus of real messages through a relay. From a stranger each passes byte for byte behind the trace field, or is
 * refused by a rule that the message is seen to break; its signatures are to dkimpy what they were before. Of a client
 * that may relay, over a listener that normalizes, all are taken, only the documented fields change, and dkimpy accepts
 * the signature that the relay adds.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { Rig } from '#test/dialog/rig.ts';
import { type Corpus, loadCorpus } from '#test/kit/corpus.ts';
import { dkimpyProblem, dkimpySignatures } from '#test/kit/dkimpy.ts';
import type { SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';

const ENOUGH = 300;
const CONNECTIONS = 4;
const OURS = '127.0.0.2';
const STRANGER = '127.0.0.3';
/** As many as a policy can have (`outbound.dkim`). */
const DOMAINS_AT_MOST = 64;
const SELECTOR = 'corpus';

const corpus: Corpus = loadCorpus();
for (const problem of corpus.problems) process.stderr.write(`!!! NOT IN THE CORPUS: ${problem}\n`);
const isCi = Boolean(process.env['CI']);
const missing = corpus.messages.length === 0 ? corpus.problems.join('; ') : dkimpyProblem();
const skip = isCi ? false : (missing ?? false);

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const signedDomains = fromDomains().slice(0, DOMAINS_AT_MOST);
const keys: Record<string, string> = { ...corpus.keys };
for (const domain of signedDomains)
  keys[`${SELECTOR}._domainkey.${domain}`] =
    `v=DKIM1; p=${publicKey.export({ type: 'spki', format: 'der' }).toString('base64')}`;

interface Passage {
  readonly name: string;
  /** As it was sent: with the line end that SMTP adds. */
  readonly sent: string;
  readonly reply: string;
  /** What the next hop got, if it was taken. */
  readonly got: string;
}

let rig: Rig;

before(async () => {
  if (skip !== false) return;
  rig = await Rig.start({
    listeners: { strict: {}, normalizing: { lineEndings: 'Normalize' } },
    inbound: {
      clients: { networks: [OURS] },
      acceptDomains: ['y.example'],
      limits: { errorsPerSession: 1000 },
    },
    spec: (hop) => ({
      outbound: {
        tls: { discover: [] },
        smartHosts: [{ host: '127.0.0.1', port: hop }],
        dkim: signedDomains.map((domain) => ({ domain, selector: SELECTOR, secretName: 'dkim' })),
      },
    }),
    secrets: { dkim: { 'private.key': String(privateKey.export({ type: 'pkcs8', format: 'pem' })) } },
  });
});

after(() => rig?.end());

describe('a corpus of real messages', { concurrency: false, skip }, () => {
  test('it is whole where CI asks for it', (t) => {
    t.diagnostic(`${corpus.messages.length} messages`);
    if (!isCi && corpus.problems.length > 0)
      return t.skip(`not in the corpus: ${corpus.problems.join('; ')}`);
    assert.deepEqual(corpus.problems, []);
    assert.ok(corpus.messages.length >= ENOUGH, `${corpus.messages.length} messages`);
  });

  test('from a stranger: byte for byte, or refused by a rule', async (t) => {
    const passages = await pass('strict', STRANGER);
    for (const { name, sent, reply, got } of passages) {
      const rule = brokenRule(sent);
      assert.match(reply, rule ?? /^250 /, name);
      if (!rule) assert.equal(withoutTrace(got), behindTrace(sent), name);
    }
    const passed = passages.filter(({ reply }) => reply.startsWith('250'));
    t.diagnostic(
      `${passages.length} messages, ${passed.length} passed, ${passages.length - passed.length} refused`,
    );
    for (const [reply, refused = []] of Object.entries(Object.groupBy(passages, ({ reply }) => reply)))
      if (!reply.startsWith('250'))
        t.diagnostic(`${refused.length} refused by ${reply}: ${refused.map(({ name }) => name).join(', ')}`);
    t.diagnostic(sameSignatures(passed));
  });

  test('of a client, normalized: only the documented fields change, and each signature of ours is valid', async (t) => {
    const passages = await pass('normalizing', OURS);
    const reasons = new Map<string, number>();
    for (const { name, sent, reply, got } of passages) {
      assert.match(reply, /^250 /, name);
      const wanted = parted(withoutBcc(normalized(sent)));
      assert.equal(withoutAdded(withoutTrace(got), wanted), behindTrace(wanted), name);
    }
    const own = dkimpySignatures(
      passages.map(({ got }) => Buffer.from(got, 'latin1')),
      keys,
    ).map((all) => all.filter(({ name }) => name.startsWith(`${SELECTOR}.`)));
    for (const [index, { name, got }] of passages.entries()) {
      assert.equal(own[index]?.length, ownSignatures(got), `${name}: what dkimpy sees`);
      for (const { isValid } of own[index] ?? []) assert.ok(isValid, `${name}: our signature`);
    }
    const signed = own.flat().length;
    assert.ok(signed > 0, 'no message was signed');
    t.diagnostic(`${passages.length} messages passed, ${signed} signed by the relay and verified`);
    for (const line of rig.log().filter(({ event }) => event === 'not_signed'))
      reasons.set(String(line['rule']), (reasons.get(String(line['rule'])) ?? 0) + 1);
    t.diagnostic(`not signed: ${[...reasons].map(([rule, count]) => `${count} ${rule}`).join(', ')}`);
  });
});

/** The domains of From addresses, the most frequent first. */
function fromDomains(): string[] {
  const counts = new Map<string, number>();
  for (const { bytes } of corpus.messages) {
    const [, domain] = /^From:.*@((?:[a-z0-9-]+\.)+[a-z]+)>?\r$/im.exec(bytes.toString('latin1')) ?? [];
    if (domain) counts.set(domain.toLowerCase(), (counts.get(domain.toLowerCase()) ?? 0) + 1);
  }
  return [...counts].sort(([, a], [, b]) => b - a).map(([domain]) => domain);
}

/** Sends all over a few connections, each message in one write behind its commands. */
async function pass(listener: string, from: string): Promise<Passage[]> {
  const numbered = corpus.messages.map((message, index) => ({
    ...message,
    to: `${listener}${index}@y.example`,
  }));
  const replies = new Map<string, string>();
  const next = numbered.values();
  const work = async () => {
    const client = await rig.client(listener, from);
    for (const { to, bytes } of next) replies.set(to, await send(client, to, bytes.toString('latin1')));
    await client.quit();
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, work));
  const taken = [...replies].filter(([, reply]) => reply.startsWith('250')).map(([to]) => to);
  const arrived = () => new Map(rig.hop.arrived.map(({ to, text }) => [to[0] ?? '', text]));
  await until(
    'all at the next hop',
    () => {
      const missing = numbered
        .filter(({ to }) => taken.includes(to) && !arrived().has(to))
        .map(({ name }) => name);
      if (missing.length === 0) return true;
      throw new Error(`not there: ${missing.join(', ')}; the relay said ${undelivered()}`);
    },
    120_000,
  );
  const texts = arrived();
  return numbered.map(({ name, bytes, to }) => ({
    name,
    sent: ended(bytes.toString('latin1')),
    reply: replies.get(to) ?? '',
    got: texts.get(to) ?? '',
  }));
}

/** Lines of the log that say why. */
function undelivered(): string {
  const lines = rig.log().filter(({ event }) => event === 'bounced' || event === 'deferred');
  return lines.map((line) => JSON.stringify(line)).join('\n');
}

async function send(client: SmtpClient, to: string, text: string): Promise<string> {
  const body = /[^\0-\x7f]/.test(text) ? ' BODY=8BITMIME' : '';
  client.write(`MAIL FROM:<app@web.example>${body}\r\nRCPT TO:<${to}>\r\nDATA\r\n`);
  for (const expected of ['250', '250', '354']) {
    const reply = await client.reply();
    assert.ok(reply.startsWith(expected), reply);
  }
  client.write(Buffer.from(`${ended(text).replace(/^\.|(?<=\r\n)\./g, '..')}.\r\n`, 'latin1'));
  return client.reply();
}

const ended = (text: string) => (text.endsWith('\r\n') ? text : `${text}\r\n`);

/** The reply to a message that breaks a rule, judged by the message alone. */
function brokenRule(text: string): RegExp | undefined {
  const at = text.search(/\0|\r(?!\n)|(?<!\r)\n/);
  if (at !== -1) return text[at] === '\0' ? /^554 5\.6\.0 NUL/ : /^554 5\.6\.0 Bare CR or LF/;
  return (headOf(text).match(/^received:/gim)?.length ?? 0) > 50 ? /^554 5\.4\.6/ : undefined;
}

/** As docs/receiving.md has it for `Normalize`. */
const normalized = (text: string) => text.replaceAll('\0', '').replace(/\r(?!\n)/g, ' ');

const headOf = (text: string) => text.split('\r\n\r\n', 1)[0] ?? '';

/** The first line behind our Received field: as docs/receiving.md has it under "Header work". */
function behindTrace(text: string): string {
  const mailbox = /^>*From (?![ \t]*:)/.test(text) ? 'X-Mailbox-Line: ' : '';
  const isHeader = mailbox !== '' || /^(?:\r\n|[\x21-\x39\x3b-\x7e]+[ \t]*:)/.test(text);
  return `${isHeader ? '' : '\r\n'}${mailbox}${text}`;
}

/** A line that is no field ends the header: as docs/rewriting.md has it for submitted mail. */
function parted(text: string): string {
  const at = headOf(text).search(/(?<=\r\n)(?![\x21-\x39\x3b-\x7e]+[ \t]*:|[ \t])./);
  return at === -1 || behindTrace(text) !== text ? text : `${text.slice(0, at)}\r\n${text.slice(at)}`;
}

/** Our Received field is the first, or follows our signatures. */
function withoutTrace(text: string): string {
  const [trace = ''] =
    /^(?:DKIM-Signature:.*\r\n(?:[ \t].*\r\n)*)*?Received: from .* \(\[127\.0\.0\.\d\]\)\r\n(?:\t.*\r\n)+/.exec(
      text,
    ) ?? [];
  assert.notEqual(trace, '', 'our Received field');
  return text.slice(trace.length);
}

const ownSignatures = (text: string) => headOf(text).match(/\bs=corpus;/g)?.length ?? 0;

function withoutAdded(text: string, sent: string): string {
  const head = headOf(sent);
  const date = /^date[ \t]*:/im.test(head) ? '' : '(?:Date: .{25} \\+0000\r\n)';
  const id = /^message-id[ \t]*:/im.test(head) ? '' : '(?:Message-ID: <.*@relay\\.example\\.com>\r\n)';
  return text.replace(new RegExp(`(?<=^|\r\n)${date}${id}`), '');
}

function withoutBcc(text: string): string {
  const head = headOf(text);
  return head.replace(/^(?:resent-)?bcc[ \t]*:.*\r\n(?:[ \t].*(?:\r\n|$))*/gim, '') + text.slice(head.length);
}

/** What dkimpy says of the signatures before and after; fails where it is not the same. */
function sameSignatures(passages: readonly Passage[]): string {
  const all = passages.flatMap(({ sent, got }) => [sent, got]).map((text) => Buffer.from(text, 'latin1'));
  const seen = dkimpySignatures(all, keys);
  for (const [index, { name }] of passages.entries())
    assert.deepEqual(seen[2 * index + 1], seen[2 * index], `${name}: its signatures`);
  const signatures = seen.filter((_, index) => index % 2 === 1).flat();
  const valid = signatures.filter(({ isValid }) => isValid).length;
  const unknown = signatures.filter(({ isKnown }) => !isKnown).length;
  assert.ok(valid > 0, 'no signature was valid');
  return `${signatures.length} signatures: ${valid} verified before and after, ${signatures.length - valid} not verified before nor after (${unknown} without a key here), all over the same bytes`;
}
