/** Next hops of another age, as real Exims: TLS 1.0 only, and 3DES and RC4 only. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Authority, makeAuthority } from '#test/kit/ca.ts';
import { startExim } from '#test/kit/exim.ts';
import { layerProblem } from '#test/kit/layer.ts';
import type { Peer } from '#test/kit/peer.ts';
import { freePort } from '#test/kit/ports.ts';
import { TestRelay } from '#test/kit/relay.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';

/** In the notation of GnuTLS. */
const PRIORITIES = {
  tls10: 'NORMAL:-VERS-ALL:+VERS-TLS1.0',
  '3des':
    'NONE:+VERS-TLS1.0:+VERS-TLS1.1:+VERS-TLS1.2:+3DES-CBC:+ARCFOUR-128:+SHA1:+RSA:+SIGN-ALL:+COMP-NULL',
} as const;
const NAMES = ['tls10', '3des'] as const;

let authority: Authority;
let relay: TestRelay;
const ports = new Map<string, number>();
const peers: Peer[] = [];

/** Mail for SUBDOMAIN.NAME.example goes to the Exim of that name, by a route of its own. */
function manifest(port: number): string {
  const routes = NAMES.flatMap((name) => {
    const hosts = `[{host: localhost, port: ${ports.get(name)}}]`;
    return [
      `{recipientDomains: [${name}.example], hosts: ${hosts}}`,
      `{recipientDomains: [encrypt.${name}.example], tls: {level: Encrypt}, hosts: ${hosts}}`,
      `{recipientDomains: [old.${name}.example], tls: {level: Encrypt, minVersion: TLSv1}, hosts: ${hosts}}`,
    ];
  });
  return `apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: old-peers}
spec:
  hostname: relay.example.com
  tls: {secretName: relay-tls}
  inbound:
    listeners: [{name: smtp, port: ${port}}]
    clients: {networks: [127.0.0.0/8]}
  outbound:
    tls: {discover: []}
    routes:
      - ${routes.join('\n      - ')}
`;
}

async function send(to: string, id: string): Promise<void> {
  const client = await SmtpClient.connect(relay.ports[0] ?? 0);
  await client.hello();
  assert.match(await client.send('a@client.example', [to], messageText(id)), /^250/);
  await client.quit();
}

/** The first line of the log with this event and this part of the spec. */
function logged(event: string, rule: string): Promise<Record<string, unknown>> {
  return until(`a line ${event} by ${rule}`, () =>
    relay.stderr
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .find((line) => line['event'] === event && line['rule'] === rule),
  );
}

describe('next hops of another age', { skip: layerProblem(), concurrency: false }, () => {
  before(async () => {
    authority = await makeAuthority();
    for (const name of NAMES) ports.set(name, await freePort());
    relay = await TestRelay.start({ manifest: ([port]) => manifest(port ?? 0) });
    for (const name of NAMES)
      peers.push(
        await startExim({
          port: ports.get(name) ?? 0,
          domain: `${name}.example`,
          pair: await authority.issue(['localhost'], { rsa: true }),
          relay: { port: 1, ca: authority.cert },
          priorities: PRIORITIES[name],
        }),
      );
  });

  after(async () => {
    for (const peer of peers) await peer.stop();
    await relay?.remove();
  });

  test('TLS 1.0 only: encrypted at Opportunistic; at Encrypt it waits with the reason, unless its route says otherwise', async () => {
    await send('b@tls10.example', 'any');
    assert.match(await (peers[0] as Peer).message('any'), /by tls10\.example with esmtps\s+\(TLS1\.0\)/);
    const line = await logged('delivered', 'outbound.routes[0]');
    assert.deepEqual([line['tls'], line['verified'], line['fellBack']], ['TLSv1', false, undefined]);

    await send('b@encrypt.tls10.example', 'waits');
    const { cause, reason } = await logged('deferred', 'outbound.routes[1]');
    assert.equal(cause, 'handshake');
    assert.match(String(reason), /level Encrypt is not met: .*no shared version or cipher .*tls\.minVersion/);

    await send('b@old.tls10.example', 'excepted');
    assert.match(await (peers[0] as Peer).message('excepted'), /by tls10\.example with esmtps\s+\(TLS1\.0\)/);
    assert.equal((await logged('delivered', 'outbound.routes[2]'))['tls'], 'TLSv1');
  });

  test('3DES and RC4 only: plain text at Opportunistic, and log and metric say why; from Encrypt on it waits', async () => {
    await send('b@3des.example', 'clear');
    assert.match(await (peers[1] as Peer).message('clear'), /by 3des\.example with esmtp\s/);
    const line = await logged('delivered', 'outbound.routes[3]');
    assert.deepEqual([line['tls'], line['fellBack']], ['none', 'handshake']);
    assert.match(String(line['fellBackReason']), /the handshake broke: no shared version or cipher/);
    await relay.waitForMetrics(
      /^mailrelay_plaintext_fallbacks_total\{cause="handshake",reason="no shared version or cipher"\} 1$/m,
    );

    for (const [index, name] of ['encrypt', 'old'].entries()) {
      await send(`b@${name}.3des.example`, name);
      const { reason } = await logged('deferred', `outbound.routes[${4 + index}]`);
      assert.match(String(reason), /level Encrypt is not met: .*no shared version or cipher/);
    }
  });
});
