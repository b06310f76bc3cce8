/** Events of a real relay at a real HTTPS receiver: every kind, a receiver that fails in every way, and kills. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { makeAuthority } from '#test/kit/ca.ts';
import { storyManifest } from '#test/kit/manifest.ts';
import { freePort } from '#test/kit/ports.ts';
import { TestRelay } from '#test/kit/relay.ts';
import { Sink } from '#test/kit/sink.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { type Manner, Webhook } from '#test/kit/webhook.ts';

const KEY = `whsec_${randomBytes(32).toString('base64')}`;
const OLD_KEY = `whsec_${randomBytes(32).toString('base64')}`;

describe('events.webhook', { concurrency: false }, () => {
  let relay: TestRelay;
  let sink: Sink;
  let hook: Webhook;
  let sent = 0;

  before(async () => {
    const authority = await makeAuthority();
    hook = await Webhook.start(await authority.issue(['localhost']), KEY);
    const nextHop = await freePort();
    const codes: Record<string, number> = { 'gone@example.com': 550, 'slow@example.com': 451 };
    sink = await Sink.start({ port: nextHop, refuse: (address) => codes[address] });
    const webhook = `{url: "https://localhost:${hook.port}/mail", secretName: hook, trustConfigMapName: trust}`;
    relay = await TestRelay.start({
      manifest: ([port]) =>
        storyManifest({
          port,
          nextHop,
          trust: authority.cert,
          queue: '{expireAfter: 1h, suppression: {duration: 1d, statuses: ["5.0.0"], action: Discard}}',
          spec: [
            `events: {webhook: ${webhook}}`,
            'addresses: {recipient: {entries: [{address: sales@example.com, to: [joe@example.com]}]}}',
          ].join('\n  '),
          documents: `---
apiVersion: v1
kind: Secret
metadata: {name: hook}
stringData: {secret: "${OLD_KEY} ${KEY}"}
`,
        }),
    });
  });

  after(async () => {
    await relay?.remove();
    await sink?.down();
    await hook?.stop();
  });

  async function send(...to: string[]): Promise<string> {
    const client = await SmtpClient.connect(relay.ports[0] ?? 0);
    await client.hello();
    sent += 1;
    const text = `Message-ID: <m${sent}@client.example>\r\n${messageText(`m${sent}`)}`;
    const reply = await client.send('app@client.example', to, text);
    await client.quit();
    return /queued as (\S+)/.exec(reply)?.[1] ?? assert.fail(reply);
  }

  const dataOf = (type: string, id: string) =>
    hook
      .list(`mail.${type}`)
      .filter(({ data }) => data['queueId'] === id)
      .map(({ data }) => data);

  test('what becomes of each recipient is told, signed', async () => {
    const id = await send('joe@example.com', 'gone@example.com', 'slow@example.com');
    await until('all events', () =>
      ['accepted', 'delivered', 'bounced', 'deferred'].every((type) => dataOf(type, id).length === 1),
    );
    const [accepted] = dataOf('accepted', id);
    assert.equal(accepted?.['messageId'], `m${sent}@client.example`);
    assert.deepEqual(accepted?.['recipients'], ['joe@example.com', 'gone@example.com', 'slow@example.com']);
    const [bounced] = dataOf('bounced', id);
    assert.equal(bounced?.['to'], 'gone@example.com');
    assert.match(String(bounced?.['text']), /^550/);
    assert.equal(hook.unsigned, 0);
  });

  test('mail that goes nowhere is told, and so are the addresses that the client gave', async () => {
    const discarded = await until('mail that is discarded', async () => {
      const id = await send('gone@example.com', 'sales@example.com');
      await until('its events', () => dataOf('delivered', id).length === 1);
      return dataOf('discarded', id).length === 1 && id;
    });
    assert.equal(dataOf('discarded', discarded)[0]?.['to'], 'gone@example.com');
    assert.deepEqual(dataOf('accepted', discarded)[0]?.['recipients'], ['joe@example.com']);
    assert.deepEqual(dataOf('accepted', discarded)[0]?.['originalRecipients'], ['sales@example.com']);
    assert.deepEqual(dataOf('delivered', discarded)[0]?.['originalTo'], ['sales@example.com']);
    const alone = await send('gone@example.com');
    await until('the events of mail for nobody', () => dataOf('discarded', alone).length === 1);
    assert.equal(dataOf('accepted', alone)[0]?.['recipientCount'], 0);
  });

  for (const manner of ['refuse', 'redirect'] satisfies Manner[])
    test(`a receiver that answers by "${manner}" slows no mail, and gets the events when it is well`, async () => {
      hook.manner = manner;
      const before = [hook.requests, sink.arrived.length] as const;
      const id = await send('joe@example.com');
      await until('the mail', () => sink.arrived.length > before[1]);
      await until('a try', () => hook.requests > before[0]);
      assert.deepEqual(dataOf('delivered', id), []);
      hook.manner = 'take';
      await until('the events', () => dataOf('delivered', id).length === 1);
      assert.equal(dataOf('accepted', id).length, 1);
    });

  test('after a kill at any moment, every change that was acknowledged is told', async () => {
    const ids: string[] = [];
    for (let kills = 0; kills < 3; kills++) {
      hook.manner = kills === 1 ? 'refuse' : 'take';
      for (let mails = 0; mails < 5; mails++) ids.push(await send('joe@example.com'));
      await relay.kill9();
      await relay.up();
    }
    hook.manner = 'take';
    await until(
      'the events of all mail',
      () => ids.every((id) => dataOf('accepted', id).length >= 1 && dataOf('delivered', id).length >= 1),
      120_000,
    );
  });

  test('a receiver that hangs slows no mail', async () => {
    hook.manner = 'hang';
    const before = [hook.requests, sink.arrived.length] as const;
    await send('joe@example.com');
    await until('a request', () => hook.requests > before[0]);
    for (let mails = 0; mails < 5; mails++) await send('joe@example.com');
    await until('the mail', () => sink.arrived.length >= before[1] + 6);
  });

  test('the keys stand in no log', () => {
    for (const key of [KEY, OLD_KEY]) {
      assert.ok(!relay.stderr.includes(key.slice(6)));
      assert.ok(!relay.stdout.includes(key.slice(6)));
    }
  });
});
