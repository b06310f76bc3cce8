/**
 * Other mail servers on either side of one relay: each gets mail from it, verified by chain and name, and sends mail
 * through it. OpenSMTPD alone is spoken to in plain text: Debian's build fails its own STARTTLS.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startAiosmtpd } from '#test/kit/aiosmtpd.ts';
import { type Authority, makeAuthority } from '#test/kit/ca.ts';
import { startExim } from '#test/kit/exim.ts';
import { startHaraka } from '#test/kit/haraka.ts';
import { layerProblem } from '#test/kit/layer.ts';
import { startOpenSmtpd } from '#test/kit/opensmtpd.ts';
import { bytesOf, hardMessage, type Peer, type PeerOptions } from '#test/kit/peer.ts';
import { freePort } from '#test/kit/ports.ts';
import { Postfix, postfixProblem } from '#test/kit/postfix.ts';
import { secretOf, TestRelay } from '#test/kit/relay.ts';
import { Sink } from '#test/kit/sink.ts';
import { SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';

interface Server {
  readonly name: string;
  readonly start: (options: PeerOptions) => Promise<Peer>;
  /** Why it cannot run here. */
  readonly problem: string | undefined;
  readonly inPlainText?: boolean;
  readonly onlyReceives?: boolean;
}

const startPostfix = ({ port, pair, ...forwards }: PeerOptions) =>
  Postfix.start({ address: '127.0.0.1', port, pair, level: 'may', forwards });

const SERVERS: readonly Server[] = [
  { name: 'postfix', start: startPostfix, problem: postfixProblem() },
  { name: 'exim', start: startExim, problem: layerProblem() },
  { name: 'haraka', start: startHaraka, problem: undefined },
  { name: 'aiosmtpd', start: startAiosmtpd, problem: undefined, onlyReceives: true },
  { name: 'opensmtpd', start: startOpenSmtpd, problem: layerProblem(), inPlainText: true },
];

const ports = new Map<string, number>();
let authority: Authority;
let sink: Sink;
let relay: TestRelay;

before(async () => {
  authority = await makeAuthority();
  const nextHop = await freePort();
  sink = await Sink.start({ port: nextHop });
  for (const { name } of SERVERS) ports.set(name, await freePort());
  const pair = await authority.issue(['relay.example.com', 'localhost']);
  relay = await TestRelay.start({
    ports: 2,
    manifest: ([required, plain]) => `apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: servers}
spec:
  hostname: relay.example.com
  tls: {secretName: relay-tls}
  inbound:
    listeners:
      - {name: required, port: ${required}, starttls: Required}
      - {name: plain, port: ${plain}, starttls: Disabled}
    clients: {networks: [127.0.0.0/8]}
  outbound:
    tls: {level: None, discover: [], trustConfigMapName: trust}
    smartHosts: [{host: 127.0.0.1, port: ${nextHop}}]
    routes:
${SERVERS.map(routeTo).join('\n')}
${secretOf('relay-tls', pair)}---
apiVersion: v1
kind: ConfigMap
metadata: {name: trust}
data: {ca.crt: ${JSON.stringify(authority.cert)}}
`,
  });
});

after(async () => {
  await relay?.remove();
  await sink?.down();
});

for (const { name, start, problem, inPlainText, onlyReceives } of SERVERS) {
  describe(name, { skip: problem, concurrency: false }, () => {
    let server: Peer;

    before(async () => {
      const [required = 0, plain = 0] = relay.ports;
      server = await start({
        port: ports.get(name) ?? 0,
        domain: `${name}.example`,
        pair: await authority.issue(['localhost']),
        relay: { port: inPlainText ? plain : required, ca: authority.cert },
      });
    });

    after(() => server?.stop());

    test(`gets mail ${inPlainText ? 'in plain text' : 'over STARTTLS, verified'}`, async () => {
      const text = hardMessage(`to-${name}`);
      await submit(relay.ports[1] ?? 0, `b@${name}.example`, text);
      const stored = await server.message(`to-${name}`);
      assert.ok(stored.includes(bytesOf(`${text}\r\n`).replaceAll('\r\n', '\n')), stored);
      const log = await until('its line in the log', () =>
        relay.stderr.split('\n').find((line) => /"event":"delivered"/.test(line) && line.includes(name)),
      );
      assert.equal(/"verified":true/.test(log), !inPlainText, log);
    });

    if (onlyReceives) return;
    test(`sends mail ${inPlainText ? 'in plain text' : 'over STARTTLS'}`, async () => {
      const text = hardMessage(`from-${name}`);
      await submit(ports.get(name) ?? 0, 'b@elsewhere.example', text);
      const arrived = await until('the message', () => sink.arrived.find(({ id }) => id === `from-${name}`));
      assert.ok(arrived.text.endsWith(bytesOf(`${text}\r\n`)), arrived.text);
      const protocol = /by relay\.example\.com \(mailrelay\) with (\w+) id/.exec(arrived.text)?.[1];
      assert.equal(protocol, inPlainText ? 'ESMTP' : 'ESMTPS');
    });
  });
}

function routeTo({ name, inPlainText }: Server): string {
  const level = inPlainText ? 'None' : 'Verify';
  const hop = `{host: localhost, port: ${ports.get(name)}}`;
  return `      - {recipientDomains: [${name}.example], hosts: [${hop}], tls: {level: ${level}}}`;
}

async function submit(port: number, to: string, text: string): Promise<void> {
  const client = await SmtpClient.connect(port);
  await client.hello();
  assert.match(await client.send('a@client.example', [to], text), /^250/);
  await client.quit();
}
