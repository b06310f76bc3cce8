/**
 * The one start of console.test.ts: a relay with some mail, its console, and a browser with the page of it; and what a person
 * does there.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingHttpHeaders, request } from 'node:http';
import { text } from 'node:stream/consumers';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { startBrowser } from '#test/kit/browser.ts';
import { ConsoleProcess } from '#test/kit/console.ts';
import { storyManifest } from '#test/kit/manifest.ts';
import { freePort } from '#test/kit/ports.ts';
import { TestRelay } from '#test/kit/relay.ts';
import { Sink } from '#test/kit/sink.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';

const MANY_CERTIFICATES =
  '{secretName: relay-tls, certificates: [{hostnames: [mail.example.org], secretName: other-tls}]}';
export const SENDER = 'app@client.example';
/** Of everything that is waited for in a page, on a machine with a heavy load. */
const PATIENCE_MS = 60_000;

export let relay: TestRelay;
let sink: Sink;
let browser: Browser;
export let console: ConsoleProcess;
export let context: BrowserContext;
export let page: Page;
/** What the browser complains about, such as a breach of the content security policy. */
export const complaints: string[] = [];

/** Gives the id of a message that waits. */
export async function start(): Promise<string> {
  const nextHop = await freePort();
  const codes: Readonly<Record<string, number>> = { 'gone@example.com': 550, 'slow@example.com': 451 };
  sink = await Sink.start({ port: nextHop, refuse: (address) => codes[address] });
  relay = await TestRelay.start({
    manifest: ([port]) =>
      storyManifest({
        port,
        nextHop,
        queue: '{history: 7d}',
        spec: 'trace: {level: 3}',
      }).replace('{secretName: relay-tls}', MANY_CERTIFICATES),
  });
  const client = await SmtpClient.connect(relay.ports[0] ?? 0);
  await client.hello();
  await client.command('MAIL FROM:<app@client.example> NONSENSE=1');
  await client.quit();
  const id = await send(['joe@example.com', 'gone@example.com', 'slow@example.com'], 'first');
  await until('the refusal and the waiting message in the status', async () => {
    const { sessions, queue } = await relay.status();
    return sessions.refusals?.some(({ reason }) => reason === 'unknown_parameter') && queue.depth === 1;
  });
  browser = await startBrowser();
  console = await ConsoleProcess.start(['console', '--state', relay.stateDir, '--allow-changes']);
  page = await openPage(console.url);
  return id;
}

export async function end(): Promise<void> {
  await browser?.close();
  await console?.stop();
  await relay?.remove();
  await sink?.down();
}

export async function send(recipients: readonly string[], name: string): Promise<string> {
  const client = await SmtpClient.connect(relay.ports[0] ?? 0);
  await client.hello();
  const reply = await client.send(
    SENDER,
    recipients,
    `Message-ID: <${name}@a.example>\r\n${messageText(name)}`,
  );
  await client.quit();
  return /queued as (\S+)/.exec(reply)?.[1] ?? assert.fail(reply);
}

export async function openPage(url: string, options: { readonly locale?: string } = {}): Promise<Page> {
  context = await browser.newContext({
    locale: 'en-US',
    viewport: { width: 1280, height: 800 },
    ...options,
  });
  const opened = await context.newPage();
  opened.setDefaultTimeout(PATIENCE_MS);
  opened.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  opened.on('pageerror', (error) => complaints.push(String(error)));
  await opened.goto(url);
  return opened;
}

/** A minute of mail, for the pictures. */
export async function makeTraffic(): Promise<void> {
  await goTo('Overview');
  for (let round = 0; round < 40; round++) {
    const many = 1 + Math.round(2 + 2 * Math.sin(round / 5));
    for (let sent = 0; sent < many; sent++) await send(['joe@example.com'], `picture-${round}-${sent}`);
    if (round % 5 === 0)
      await send(['gone@example.com', 'joe@example.com', 'slow@example.com'], `p-${round}`);
    await page.waitForTimeout(1_500);
  }
}

/** Clients at different commands. */
export async function connectSome(): Promise<SmtpClient[]> {
  const commands = ['EHLO app2.client.example', 'MAIL FROM:<app@client.example>', 'NOOP'];
  return Promise.all(
    commands.map(async (command, index) => {
      const client = await SmtpClient.connect(relay.ports[0] ?? 0, '127.0.0.1', `127.0.0.4${index}`);
      await client.hello();
      if (index > 0) await client.secure();
      await client.send(SENDER, ['joe@example.com'], messageText(`connected-${index}`));
      if (index > 0) await client.command(command);
      return client;
    }),
  );
}

export async function goTo(name: string): Promise<void> {
  const link = page.getByRole('navigation').getByRole('link', { name });
  await link.click();
  await page.locator('nav a[aria-current=page]', { hasText: name }).waitFor();
}

export const notice = (words: string) => page.getByRole('status').filter({ hasText: words }).waitFor();
export const queueDepth = async () => (await relay.status()).queue.depth;

export async function cookieText(context: BrowserContext): Promise<string> {
  return (await context.cookies()).map(({ name, value }) => `${name}=${value}`).join('; ');
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A client that is no browser and can send any header. With a body it is a POST. */
export async function get(
  url: string,
  headers: Readonly<Record<string, string>>,
  body?: string,
): Promise<Answer> {
  const { hostname, port } = new URL(url);
  const path = url.slice(new URL(url).origin.length);
  const sent = request({ hostname, port, path, headers, method: body === undefined ? 'GET' : 'POST' });
  sent.end(body);
  const [response] = await once(sent, 'response');
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}
