/** Mail of others at a real relay, which asks a name server of the test: who is proven, who is forged, who may relay. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { authenticate, dkimSign } from 'mailauth';
import { NameServer } from '#test/kit/nameserver.ts';
import { freePort } from '#test/kit/ports.ts';
import { TestRelay } from '#test/kit/relay.ts';
import { Sink } from '#test/kit/sink.ts';
import { SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { objectOf } from '../delivery/story.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const PEM = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const RAW = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('base64');
/** One key for all: it is the names that differ. */
const KEY = { TXT: [`v=DKIM1; k=ed25519; p=${RAW}`] };
const NAMES = {
  'sender.example': { TXT: ['v=spf1 ip4:127.0.0.1 -all'] },
  's1._domainkey.sender.example': KEY,
  's1._domainkey.example.com': KEY,
  '_dmarc.sender.example': { TXT: ['v=DMARC1; p=reject'] },
};
const FORGED = 'Authentication-Results: mx.example.com; dmarc=pass\r\n';

async function findName(name: string): Promise<string[][]> {
  const [, known] = Object.entries(NAMES).find(([one]) => one === name) ?? [];
  if (!known) throw Object.assign(new Error('there is none'), { code: 'ENOTFOUND' });
  return known.TXT.map((text) => [text]);
}

describe('inbound.authenticationResults', { concurrency: false }, () => {
  let relay: TestRelay;
  let sink: Sink;
  let names: NameServer;
  let sent = 0;

  before(async () => {
    const dns = await freePort();
    names = await NameServer.start(NAMES, dns);
    sink = await Sink.start({ port: await freePort() });
    relay = await TestRelay.start({
      ports: 2,
      manifest: ([stranger, client]) => `apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: story}
spec:
  hostname: relay.example.com
  inbound:
    starttls: Disabled
    acceptDomains: [example.com]
    authenticationResults: {authservID: mx.example.com, arcSealDomain: example.com}
    listeners:
      - {name: stranger, port: ${stranger}}
      - {name: client, port: ${client}, clients: {networks: [127.0.0.0/8]}}
  outbound:
    tls: {level: None, discover: []}
    resolver: {addresses: ['127.0.0.1:${dns}']}
    routes: [{recipientDomains: [example.com], hosts: [{host: 127.0.0.1, port: ${sink.port}}]}]
    dkim: [{domain: example.com, selector: s1, secretName: dkim}]
${objectOf('Secret', 'dkim', { 'private.key': PEM })}`,
    });
  });

  after(async () => {
    await relay?.remove();
    await sink?.down();
    names?.stop();
  });

  /** The message as it arrived, from the first of our fields on. */
  async function send(at: number, make: (message: string) => string | Promise<string>): Promise<string> {
    sent += 1;
    const id = `a${sent}`;
    const message = await make(
      `From: joe@sender.example\r\nX-Test-Id: ${id}\r\nSubject: hello\r\n\r\nbody\r\n`,
    );
    const client = await SmtpClient.connect(relay.ports[at] ?? 0);
    await client.hello();
    assert.match(await client.send('joe@sender.example', ['ann@example.com'], message), /^250/);
    await client.quit();
    const find = () => sink.arrived.find((one) => one.id === id)?.text;
    await until(`${id} to arrive`, () => find() !== undefined);
    return find() ?? '';
  }

  async function sign(message: string): Promise<string> {
    const key = { signingDomain: 'sender.example', selector: 's1', privateKey: PEM };
    // The library reads the list, and its types want the fields.
    return (await dkimSign(message, { ...key, signatureData: [key] })).signatures + message;
  }

  const readResults = (text: string) =>
    [...text.matchAll(/^Authentication-Results:.*\r\n(?:[ \t].*\r\n)*/gm)].map(([field]) => field);

  test('who is proven passes, and a forged field goes', async () => {
    const text = await send(0, async (message) => FORGED + (await sign(message)));
    const [results = '', ...more] = readResults(text);
    assert.equal(more.length, 0);
    for (const said of ['mx.example.com', 'spf=pass', 'dkim=pass', 'dmarc=pass'])
      assert.ok(results.includes(said), results);
    assert.ok(text.search(/^Received:/m) < text.search(/^Authentication-Results:/m));
  });

  test('who changes a signed message is found out, and the message is delivered', async () => {
    const text = await send(0, async (message) => (await sign(message)).replace('hello', 'hullo'));
    assert.match(readResults(text)[0] ?? '', /dkim=fail/);
  });

  test('the seal of what was verified is right for the message as it arrives', async () => {
    const text = await send(0, sign);
    assert.match(text, /^ARC-Seal: /m);
    const { arc } = await authenticate(text, { ip: '127.0.0.2', resolver: findName, disableBimi: true });
    assert.ok(arc && arc.status.result === 'pass' && arc.i === 1, JSON.stringify(arc));
  });

  test('mail of a client that may relay is neither verified nor sealed', async () => {
    const text = await send(1, (message) => message);
    assert.deepEqual(readResults(text), []);
    assert.doesNotMatch(text, /^ARC-/m);
  });
});
