/** A real rspamd judges the mail of a real relay: each action, the changes of the header, and a filter that is gone. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { layerProblem } from '#test/kit/layer.ts';
import { bytesOf, hardMessage } from '#test/kit/peer.ts';
import { freePort } from '#test/kit/ports.ts';
import { doToQueue, listQueue } from '#test/kit/queuetools.ts';
import { TestRelay } from '#test/kit/relay.ts';
import { GTUBE, type Rspamd, startRspamd } from '#test/kit/rspamd.ts';
import { Sink } from '#test/kit/sink.ts';
import { SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { objectOf } from '../delivery/story.ts';

const problem = layerProblem();
const PASSWORD = 'a password of the test';
const FROM = 'app@client.example';
const TO = 'joe@example.com';

let rspamd: Rspamd;
let rspamdPort = 0;
let sink: Sink;
let relay: TestRelay;
let sent = 0;

const manifest = ([strict, lenient, unfiltered]: readonly (number | undefined)[]) =>
  `apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: filter}
spec:
  hostname: relay.example.com
  inbound:
    starttls: Disabled
    listeners:
      - {name: strict, port: ${strict}}
      - {name: lenient, port: ${lenient}, filter: {onFailure: Accept}}
      - {name: unfiltered, port: ${unfiltered}, filter: {enabled: false}}
    clients: {networks: [127.0.0.0/8]}
    filter: {url: 'http://127.0.0.1:${rspamdPort}', secretName: rspamd}
  outbound:
    tls: {level: None, discover: []}
    smartHosts: [{host: 127.0.0.1, port: ${sink.port}}]
${objectOf('Secret', 'rspamd', { password: PASSWORD })}`;

before(async () => {
  if (problem) return;
  rspamdPort = await freePort();
  rspamd = await startRspamd({ port: rspamdPort, password: PASSWORD });
  sink = await Sink.start({ port: await freePort() });
  relay = await TestRelay.start({ manifest, ports: 3 });
});

after(async () => {
  await relay?.remove();
  await sink?.down();
  await rspamd?.stop();
});

interface Given {
  readonly fields?: string;
  readonly body?: string;
  /** The number of the listener. */
  readonly at?: number;
}

/** Sends a message with a subject of its own. The last reply, and the subject. */
async function send({ fields = '', body = 'Hello', at = 0 }: Given) {
  sent += 1;
  const subject = `message-${sent}-of-the-test`;
  const client = await SmtpClient.connect(relay.ports[at] ?? 0);
  await client.hello();
  const text = `From: ${FROM}\r\nSubject: ${subject}\r\nX-Test-Id: m${sent}\r\n${fields}\r\n${body}\r\n`;
  const reply = await client.send(FROM, [TO], text).catch(readRefusal);
  await client.quit();
  return { reply, subject };
}

function readRefusal({ message }: Error): string {
  return /was answered "([^"]*)/.exec(message)?.[1] ?? message;
}

const findArrived = (subject: string) => sink.arrived.find(({ text }) => text.includes(subject))?.text;

async function arrived(subject: string): Promise<string> {
  await until(`${subject} to arrive`, () => findArrived(subject) !== undefined);
  return findArrived(subject) ?? '';
}

async function readMetrics(): Promise<string> {
  return (await fetch(`http://127.0.0.1:${relay.adminPort}/metrics`)).text();
}

describe('inbound.filter with a real rspamd', { skip: problem, concurrency: false }, () => {
  test('what it finds clean passes, byte by byte', async () => {
    const text = hardMessage('clean1');
    const client = await SmtpClient.connect(relay.ports[0] ?? 0);
    await client.hello();
    assert.match(await client.send(FROM, [TO], text), /^250/);
    await client.quit();
    assert.ok((await arrived('clean1')).includes(bytesOf(text)));
  });

  test('reject and soft reject are answered with its text', async () => {
    assert.match((await send({ body: GTUBE.reject })).reply, /^554 5\.7\.1 Gtube pattern/);
    assert.match(
      (await send({ fields: 'X-Test: soft reject\r\n' })).reply,
      /^451 4\.7\.1 asked for soft reject/,
    );
    assert.match((await send({ fields: 'X-Test: greylist\r\n' })).reply, /^451 4\.7\.1 asked for greylist/);
  });

  test('"add header" and "rewrite subject" change the header', async () => {
    const marked = await send({ body: GTUBE.addHeader, fields: 'X-Spam: No\r\n' });
    const text = await arrived(marked.subject);
    assert.deepEqual(text.match(/^X-Spam: .*$/gm), ['X-Spam: Yes']);
    const renamed = await send({ body: GTUBE.rewriteSubject });
    assert.deepEqual((await arrived(renamed.subject)).match(/^Subject: .*$/gm), [
      `Subject: *** SPAM *** ${renamed.subject}`,
    ]);
  });

  test('it knows the envelope and the client, adds fields and removes them', async () => {
    const fields = 'X-Test: headers\r\nX-Secret: a\r\nX-Many: 1\r\nX-Many: 2\r\nX-Secret: b\r\n';
    const text = await arrived((await send({ fields })).subject);
    for (const line of [`From: ${FROM}`, `To: ${TO}`, 'Client: 127.0.0.1', 'User: none'])
      assert.ok(text.includes(`X-Seen-${line}\r\n`), line);
    assert.deepEqual(text.match(/^X-(Secret|Many): .*$/gm), ['X-Many: 1']);
  });

  test('quarantine holds the message until a person releases it', async () => {
    const { reply, subject } = await send({ fields: 'X-Test: quarantine\r\n' });
    assert.match(reply, /^250/);
    const findHeld = async () => (await listQueue(relay)).find(({ state }) => state === 'held');
    await until('the held message', async () => (await findHeld()) !== undefined);
    const held = (await findHeld()) ?? assert.fail();
    assert.equal(held.recipients[0]?.reason, 'the content filter wants to quarantine it');
    await until('the status', async () => (await relay.status()).queue.held === 1);
    assert.equal(findArrived(subject), undefined);
    await doToQueue(relay, 'release', held.id);
    await arrived(subject);
  });

  test('large messages pass unchanged, several at once', async () => {
    const body = `${'0123456789abcdef'.repeat(60)}\r\n`.repeat(3_000);
    const all = await Promise.all(Array.from({ length: 4 }, () => send({ body })));
    for (const { reply, subject } of all) {
      assert.match(reply, /^250/);
      assert.ok((await arrived(subject)).includes(body));
    }
  });

  test('without the filter mail waits at its client, or passes with a mark; the status and the metrics say so', async () => {
    await rspamd.stop();
    assert.match((await send({})).reply, /^451 4\.7\.1 The content filter cannot judge the message now/);
    const forged = 'X-Mailrelay-Unfiltered: No\r\n';
    const text = await arrived((await send({ at: 1, fields: forged })).subject);
    assert.deepEqual(text.match(/^X-Mailrelay-Unfiltered: .*$/gm), ['X-Mailrelay-Unfiltered: Yes']);
    assert.doesNotMatch(await arrived((await send({ at: 2 })).subject), /Unfiltered/);
    await until('the failure in the status', async () => (await relay.status()).filter?.failure);
    for (const counted of ['{result="failed"} 2\n', '{result="quarantine"} 1\n'])
      await until(counted, async () => (await readMetrics()).includes(`messages_filtered_total${counted}`));
  });

  test('when it is back, a message that it judges ends the failure', async () => {
    rspamd = await startRspamd({ port: rspamdPort, password: PASSWORD });
    await until('mail to be taken', async () => (await send({})).reply.startsWith('250'));
    await until('the end of the failure', async () => (await relay.status()).filter?.failure === null);
  });
});
