/**
 * `mailrelay console` in a real Chromium, beside a real relay (consolestart.ts): what a person sees and does, by mouse and by
 * keyboard, in both languages; and what others do not get. With UPDATE_SCREENSHOTS=1 it also writes the pictures of
 * docs/console.md.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ConsoleProcess } from '#test/kit/console.ts';
import { until } from '#test/kit/wait.ts';
import { tellOverview } from './consoleoverview.ts';
import {
  complaints,
  connectSome,
  console,
  context,
  cookieText,
  end,
  get,
  goTo,
  makeTraffic,
  notice,
  openPage,
  page,
  queueDepth,
  relay,
  send,
  start,
} from './consolestart.ts';

const DOCS = new URL('../../docs/', import.meta.url).pathname;
const PICTURES = [
  ['overview', 'Overview'],
  ['sessions', 'Sessions'],
  ['queue', 'Queue'],
] as const;

describe('mailrelay console', { concurrency: false }, () => {
  let id = '';
  const row = () => page.getByRole('row').filter({ hasText: id });

  before(async () => {
    id = await start();
  });

  after(end);

  test('the address opens one session, whose cookie no script can read', async () => {
    await page.getByRole('heading', { level: 1, name: 'mailrelay default/story' }).waitFor();
    assert.equal(new URL(page.url()).search, '');
    const [cookie, ...others] = await context.cookies();
    assert.deepEqual([cookie?.httpOnly, cookie?.sameSite, others.length], [true, 'Strict', 0]);
    assert.equal(await page.evaluate('document.cookie'), '');
    const again = await get(console.url, {});
    assert.deepEqual([again.status, /used already/.test(again.body)], [401, true]);
    assert.equal(again.headers['set-cookie'], undefined);
  });

  test('without the cookie, under another name, and from another site there is nothing', async () => {
    const origin = new URL(console.url).origin;
    const cookie = await cookieText(context);
    for (const path of ['/', '/main.ts', '/api/look', '/api/queue']) {
      assert.equal((await get(`${origin}${path}`, {})).status, 401, path);
      assert.equal((await get(`${origin}${path}`, { cookie, host: 'evil.example' })).status, 403, path);
      assert.equal((await get(`${origin}${path}`, { cookie })).status, 200, path);
    }
    const body = JSON.stringify({ action: 'hold', messages: [{ pod: 'default/story', id }] });
    const json = { cookie, 'content-type': 'application/json' };
    for (const headers of [json, { ...json, origin: 'http://evil.example' }, { ...json, origin: 'null' }])
      assert.equal((await get(`${origin}/api/act`, headers, body)).status, 403);
    const plain = { cookie, origin, 'content-type': 'text/plain' };
    assert.equal((await get(`${origin}/api/act`, plain, body)).status, 400);
    assert.equal((await get(`${origin}/api/act`, { ...json, origin }, '{"action":"drop"}')).status, 400);
    for (const path of [
      '/../server.ts',
      '/%2e%2e/server.ts',
      '/package/..%2f..%2fpackage.json',
      '/tsconfig.json',
    ])
      assert.equal((await get(`${origin}${path}`, { cookie })).status, 404, path);
    assert.equal((await relay.status()).queue.held, 0);
  });

  tellOverview();

  test('the story of a message is told line by line', async () => {
    await goTo('Queue');
    await row().getByRole('link').click();
    const lines = page.getByRole('listitem');
    await lines.filter({ hasText: /Received from app@client\.example, \d+ bytes/ }).waitFor();
    await lines.filter({ hasText: /Delivered joe@example\.com by 127\.0\.0\.1:\d+\s*250/ }).waitFor();
    await lines.filter({ hasText: /Returned to the sender gone@example\.com .*550/ }).waitFor();
    await lines.filter({ hasText: /Deferred slow@example\.com .*451/ }).waitFor();
    await lines.filter({ hasText: /Waits ?slow@example\.com → 127\.0\.0\.1:\d+ · again/ }).waitFor();
    await page.goBack();
    await row().waitFor();
  });

  test('mail that is gone from the queue is found', async () => {
    await goTo('Find');
    await page.getByRole('searchbox').fill('<second@a.example>');
    await page.keyboard.press('Enter');
    await notice('Found: 1');
    await page.getByRole('row').filter({ hasText: 'joe@example.com Delivered' }).waitFor();
    await page.getByRole('searchbox').fill('nobody@example.org');
    await page.getByRole('button', { name: 'Find' }).click();
    await notice('There is no such mail in the history.');
  });

  test('the trace is shown from the log file; without one the page says how to get it', async () => {
    await goTo('Trace');
    await page.getByRole('alert').filter({ hasText: 'start "mailrelay run" on a terminal' }).waitFor();
    await until('the trace in the log', () => /RCPT TO:<gone@example\.com>/.test(relay.stderr));
    writeFileSync(join(relay.stateDir, 'relay.log'), relay.stderr);
    await page.getByRole('button', { name: 'Refresh' }).click();
    const lines = page.getByRole('region', { name: 'Lines of the SMTP trace' });
    await lines.getByText('RCPT TO:<gone@example.com>').waitFor();
    assert.doesNotMatch((await lines.textContent()) ?? '', /"event"/);
  });

  test('messages are held, released and tried again, with the keyboard alone', async () => {
    await goTo('Queue');
    await page.getByRole('searchbox').fill('SLOW@');
    await row().waitFor();
    await page.getByRole('checkbox', { name: `Select ${id}` }).press('Space');
    await page.getByRole('button', { name: 'Hold' }).press('Enter');
    await notice('Held back: 1.');
    await row().getByText('Held', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Release' }).press('Enter');
    await notice('Released: 1.');
    await until('the attempt after the release', async () => (await relay.status()).queue.held === 0);
    await page.getByRole('button', { name: 'Retry now' }).press('Enter');
    await notice('Still waiting: 1.');
    await page.getByRole('searchbox').fill('nobody');
    await page.getByText('No message matches.').waitFor();
    await page.getByRole('searchbox').fill('');
  });

  test('a removal is asked about, and Escape means no', async () => {
    const remove = page.getByRole('button', { name: 'Remove', exact: true });
    const dialog = page.getByRole('dialog', { name: 'Remove messages?' });
    await remove.click();
    await dialog.getByText('Messages to go for good: 1.').waitFor();
    assert.equal(await page.evaluate('document.activeElement.textContent'), 'Cancel');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    assert.equal(await queueDepth(), 1);
    await remove.click();
    await dialog.getByRole('button', { name: 'Remove' }).click();
    await notice('Removed: 1.');
    await page.getByText('No message matches.').waitFor();
    await until('the queue to be empty', async () => (await queueDepth()) === 0);
  });

  test('every part has a name, and tables and pages have their heads, in each section', async () => {
    id = await send(['slow@example.com'], 'third');
    for (const section of ['Sessions', 'Queue', 'Find', 'Trace', 'Overview']) {
      await goTo(section);
      await page.locator('main section').first().waitFor();
      assert.deepEqual(await page.evaluate(NAMELESS), [], section);
      assert.equal(await page.getByRole('heading', { level: 1 }).count(), 1);
      assert.equal(await page.getByRole('main').count(), 1);
    }
    await page.keyboard.press('Tab');
    const ring = await page.evaluate('getComputedStyle(document.activeElement).outlineStyle');
    assert.equal(ring, 'solid');
  });

  test('the page speaks Chinese, and remembers it', async () => {
    await page.getByRole('combobox', { name: 'Language' }).selectOption('zh-CN');
    await page.getByRole('link', { name: '队列' }).waitFor();
    await page.reload();
    await page.getByRole('link', { name: '会话' }).click();
    await page.getByText('没有已连接的客户端。').waitFor();
    await page.getByRole('link', { name: '队列' }).click();
    await row().getByText('等待中').waitFor();
    assert.equal(await page.evaluate('document.documentElement.lang'), 'zh-CN');
    await page.getByRole('combobox').first().selectOption('en');
    await page.getByRole('link', { name: 'Queue' }).waitFor();
  });

  const takePictures = async () => {
    await makeTraffic();
    const connected = await connectSome();
    for (const [name, section] of PICTURES) {
      await goTo(section);
      await page.locator('main tbody tr').first().waitFor();
      await page.screenshot({ path: `${DOCS}console-${name}.png`, fullPage: true });
    }
    for (const client of connected) await client.quit();
    await goTo('Queue');
    await row().getByRole('link').click();
    await page.getByRole('listitem').nth(2).waitFor();
    await page.screenshot({ path: `${DOCS}console-story.png` });
  };
  if (process.env['UPDATE_SCREENSHOTS']) test('its pictures are taken', takePictures);

  test('it is dark where the person wants it dark', async () => {
    await goTo('Overview');
    await page.getByRole('img').first().waitFor();
    const ground = () => page.evaluate('getComputedStyle(document.body).backgroundColor');
    await page.emulateMedia({ colorScheme: 'light' });
    const light = await ground();
    await page.emulateMedia({ colorScheme: 'dark' });
    assert.notEqual(await ground(), light);
    // The plots are drawn anew, or are leaving.
    await Promise.all([goTo('Queue'), page.emulateMedia({ colorScheme: 'light' })]);
  });

  test('a page that nobody sees asks nothing', async () => {
    const seen = await context.newPage();
    let asked = 0;
    seen.on('request', (one) => {
      if (one.url().includes('/api/')) asked += 1;
    });
    await seen.clock.install();
    await seen.goto(new URL('/', console.url).href);
    await until('the first look', () => asked > 0);
    await seen.evaluate(hide('hidden'));
    await seen.waitForLoadState('networkidle');
    const before = asked;
    await seen.clock.runFor(600_000);
    assert.equal(asked, before);
    await seen.evaluate(hide('visible'));
    await until('a look', () => asked > before);
    await seen.close();
  });

  test('a console without --allow-changes has no buttons for it, and refuses them', async (t) => {
    const depth = await queueDepth();
    const looking = await ConsoleProcess.start(['console', '--state', relay.stateDir]);
    t.after(() => looking.stop());
    const own = await openPage(looking.url);
    await own.getByRole('link', { name: 'Queue' }).click();
    await own.getByRole('row').filter({ hasText: id }).waitFor();
    await own.getByText('Start the command with --allow-changes').waitFor();
    assert.equal(await own.getByRole('checkbox').count(), 0);
    assert.equal(await own.getByRole('button', { name: 'Remove' }).count(), 0);
    const origin = new URL(looking.url).origin;
    const headers = { cookie: await cookieText(own.context()), origin, 'content-type': 'application/json' };
    for (const action of ['hold', 'release', 'retry', 'remove']) {
      const messages = [{ pod: 'default/story', id }];
      const refused = await get(`${origin}/api/act`, headers, JSON.stringify({ action, messages }));
      assert.deepEqual([refused.status, /--allow-changes/.test(refused.body)], [403, true]);
    }
    await own.context().close();
    const { queue } = await relay.status();
    assert.deepEqual([queue.depth, queue.held], [depth, 0]);
  });

  test('nothing of the page breaks its content security policy, which stops scripts of others', async () => {
    assert.equal(complaints.join('\n'), '');
    const { headers } = await get(console.url, {});
    const policy = String(headers['content-security-policy']);
    assert.match(policy, /^default-src 'none'; script-src 'self' 'sha256-/);
    assert.doesNotMatch(policy, /unsafe|https?:|\*/);
    await page.evaluate(INJECT);
    await until('the complaint', () => complaints.some((one) => one.includes('Content Security Policy')));
    assert.equal(await page.evaluate('window.injected'), undefined);
  });

  test('when the relay is away, the page says it and goes on', async () => {
    await goTo('Overview');
    await relay.kill9();
    await page.getByRole('alert').filter({ hasText: 'start it by "mailrelay run"' }).waitFor();
    await relay.up();
    await page.getByRole('alert').waitFor({ state: 'detached' });
    assert.equal(await console.stop(), 0);
    await page.getByRole('alert').filter({ hasText: 'No answer' }).waitFor();
  });
});

/** Elements that a screen reader could not name, as text. */
const NAMELESS = `[...document.querySelectorAll('a, button, input, select, table, [role=img], section, nav, dialog')]
  .filter((one) => !(one.textContent.trim() && !['TABLE', 'SECTION', 'NAV', 'SELECT'].includes(one.tagName))
    && !one.getAttribute('aria-label') && !one.getAttribute('aria-labelledby') && !one.labels?.[0]?.textContent.trim()
    && !one.querySelector('caption'))
  .map((one) => one.outerHTML.slice(0, 80))`;

const INJECT = `{ const script = document.createElement('script'); script.textContent = 'window.injected = true';
  document.body.append(script); }`;

const hide = (
  state: string,
) => `Object.defineProperty(document, 'visibilityState', { get: () => '${state}', configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));`;
