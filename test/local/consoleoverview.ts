/** Tests of console.test.ts, at its one start: what the overview and the sessions show of a relay. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { SINK_NAME } from '#cli/runnote.ts';
import { openSink } from '#cli/sink.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { goTo, page, relay, SENDER, send } from './consolestart.ts';

/** Within the suite that has started all. */
export function tellOverview(): void {
  test('the overview tells what is in service, what is refused, and draws the last hour', async () => {
    const { policy, certificate, sniCertificates = [] } = await relay.status();
    const panel = (name: string) => page.getByRole('region', { name });
    await panel('Policy in service')
      .getByText(policy.hash ?? '?')
      .waitFor();
    const certificates = panel('Certificate in service');
    for (const [heading, facts] of [
      ['Host name', certificate],
      ['For mail.example.org', sniCertificates[0]?.certificate],
    ] as const)
      await certificates
        .locator(`h3:has-text("${heading}") + dl`)
        .getByText(facts?.serial ?? '?')
        .waitFor();
    const refused = panel('Refused clients').getByRole('row').filter({ hasText: 'unknown_parameter' });
    await refused.getByText('EHLO offers').waitFor();
    await panel('Refused by next hops')
      .getByText(/Delivered [1-9]\d* · Deferred [1-9]\d* · Returned to the sender 1/)
      .waitFor();
    await page.getByRole('img', { name: /^Messages in the queue: All 1, Held 0$/ }).waitFor();
    await send(['joe@example.com'], 'second');
    await page
      .getByRole('img', { name: /^Time for 95% of the mail: To accept [\d.]+ \w+, To deliver [\d.]+ \w+$/ })
      .waitFor();
    assert.equal(await page.locator('canvas').count(), 4);
  });

  test('what a sink behind the relay takes is listed, with its TLS', async (t) => {
    assert.equal(await page.getByRole('region', { name: 'Taken by the sink' }).count(), 0);
    const folder = join(relay.stateDir, SINK_NAME);
    const beside = await openSink({
      address: '127.0.0.1',
      port: 0,
      tls: 'starttls',
      pair: undefined,
      folder,
      onMessage: () => undefined,
    });
    t.after(() => beside.stop());
    const client = await SmtpClient.connect(beside.port);
    await client.hello();
    await client.send('', ['joe@example.com'], `Subject: In clear\r\n${messageText('clear')}`);
    await client.secure();
    await client.send(SENDER, ['joe@example.com', 'ann@example.com'], messageText('secured'));
    await client.quit();
    const rows = page.getByRole('region', { name: 'Taken by the sink' }).getByRole('row');
    const secured = rows.filter({ hasText: '000002.eml' });
    await secured.getByText('joe@example.com, ann@example.com').waitFor();
    await secured.getByText(/^TLSv1\.3 TLS_\w+/).waitFor();
    const clear = rows.filter({ hasText: '000001.eml' });
    await clear.getByText('In clear').waitFor();
    await clear.getByText('Plain text').waitFor();
  });

  test('who is connected is listed while it is, with its TLS and its last command', async () => {
    await goTo('Sessions');
    const rows = page.getByRole('region', { name: 'Clients' }).getByRole('row');
    const clear = await SmtpClient.connect(relay.ports[0] ?? 0, '127.0.0.1', '127.0.0.31');
    await clear.hello();
    await clear.command('MAIL FROM:<app@client.example>');
    const secured = await SmtpClient.connect(relay.ports[0] ?? 0, '127.0.0.1', '127.0.0.32');
    await secured.hello();
    await secured.secure();
    await secured.send(SENDER, ['joe@example.com'], messageText('listed'));
    await rows.filter({ hasText: /^127\.0\.0\.31 client\.example.*Plain text.*MAIL/ }).waitFor();
    await rows
      .filter({ hasText: /^127\.0\.0\.32 client\.example.*TLSv1\.3.*Between messages.*1$/ })
      .waitFor();
    const hops = page.getByRole('region', { name: 'Next hops' }).getByRole('row');
    await hops
      .filter({ hasText: /^127\.0\.0\.1:\d+/ })
      .first()
      .waitFor();
    await clear.quit();
    await rows.filter({ hasText: '127.0.0.31' }).waitFor({ state: 'detached' });
    await secured.quit();
    await page.getByText('No client is connected.').waitFor();
  });
}
