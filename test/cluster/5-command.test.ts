/** `kubectl mailrelay` against two pods of a relay whose next hop is away, and by a person without the rights. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ActAnswer, Look, QueueAnswer, SessionsAnswer, Story, TraceAnswer } from '#cli/console/api.ts';
import { ConsoleProcess } from '#test/kit/console.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { apply, get, installOperator, kubectl, podsOf, prepared, waitReady } from './kube.ts';

const NAMESPACE = 'plugin';
const BIN = new URL('../../bin', import.meta.url).pathname;
/** Nobody listens at the next hop: a host that does not answer would have each message be delivered for seconds. */
const SPEC = `
  hostname: relay.example.com
  replicas: 2
  inbound: {starttls: Disabled, listeners: [{name: smtp, port: 25}], clients: {networks: [0.0.0.0/1, 128.0.0.0/1]}}
  outbound: {tls: {level: None}, smartHosts: [{host: ${prepared().nodeAddress}, port: 2599}]}
  queue: {storage: {size: 100Mi}, history: 1d}
  trace: {level: 2, until: "2990-01-01T00:00:00Z"}`;
const MANIFEST = `apiVersion: mailrelay.dev/v1alpha1\nkind: MailRelay\nmetadata: {name: relay, namespace: ${NAMESPACE}}\nspec:${SPEC}\n`;

interface Answer {
  readonly status: number;
  readonly out: string;
  readonly errors: string;
}

describe('kubectl mailrelay', { concurrency: false }, () => {
  let dir: string;

  /** As a person calls it: kubectl finds the plugin by its name. */
  function plugin(args: readonly string[], kubeconfig = prepared().kubeconfig): Promise<Answer> {
    const { kubectl: program } = prepared();
    const env = environment(kubeconfig);
    return new Promise((resolve) => {
      execFile(program, ['mailrelay', ...args, '-n', NAMESPACE], { env }, (error, out, errors) =>
        resolve({ status: error ? Number(error.code) : 0, out, errors }),
      );
    });
  }

  function environment(kubeconfig: string): NodeJS.ProcessEnv {
    const path = `${BIN}:${dirname(prepared().kubectl)}:${process.env['PATH']}`;
    return { ...process.env, KUBECONFIG: kubeconfig, PATH: path };
  }

  async function sendTo(ip: string, id: string): Promise<void> {
    const client = await SmtpClient.connect(10_025, ip);
    await client.hello();
    assert.match(await client.send('app@shop.example', ['b@example.com'], messageText(id)), /^250/);
    await client.quit();
  }

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'mailrelay-plugin-'));
    installOperator();
    apply(`apiVersion: v1\nkind: Namespace\nmetadata: {name: ${NAMESPACE}}\n`);
    apply(MANIFEST);
    waitReady(NAMESPACE);
    for (const { ip, name } of podsOf(NAMESPACE)) await sendTo(ip, name);
  });
  after(() => {
    rmSync(dir, { recursive: true, force: true });
    kubectl(['delete', 'namespace', NAMESPACE, '--wait=false']);
  });

  test('status and top show both pods', async () => {
    const { status, out, errors } = await plugin(['status', 'relay']);
    assert.equal(status, 0, errors);
    assert.match(out, /^relay-0\nrelay +\S+, ready\n[\s\S]*^relay-1\nrelay +\S+, ready$/m);
    const { out: load } = await plugin(['top', 'relay', '--once']);
    assert.match(load, /^POD +READY[\s\S]*^relay-0 +yes[\s\S]*^relay-1 +yes/m);
    const values = JSON.parse((await plugin(['status', 'relay', '-o', 'json'])).out) as Record<
      string,
      { ready: boolean }
    >;
    assert.deepEqual(Object.keys(values), ['relay-0', 'relay-1']);
    const loads = JSON.parse((await plugin(['top', 'relay', '-ojson'])).out) as Record<
      string,
      { queue: number }
    >;
    assert.deepEqual(
      Object.entries(loads).map(([pod, { queue }]) => [pod, queue]),
      [
        ['relay-0', 1],
        ['relay-1', 1],
      ],
    );
    const { pods } = JSON.parse((await plugin(['cert', 'relay', '-o', 'json'])).out);
    assert.deepEqual(Object.keys(pods), ['relay-0', 'relay-1']);
    const refused = await plugin(['restart', 'relay', '--pod', 'relay-0']);
    assert.deepEqual([refused.status, /leave it out/.test(refused.errors)], [2, true]);
  });

  test('sessions lists those of both pods', async () => {
    const { status, out, errors } = await plugin(['sessions', 'relay']);
    assert.equal(status, 0, errors);
    assert.match(out, /^relay-0\n[\s\S]*^relay-1\n(No client is connected|LISTENER )/m);
    const values = JSON.parse((await plugin(['sessions', 'relay', '-o', 'json'])).out);
    assert.deepEqual(Object.keys(values), ['relay-0', 'relay-1']);
    assert.deepEqual(
      Object.values<{ inbound: object[] }>(values).map(({ inbound }) => Array.isArray(inbound)),
      [true, true],
    );
  });

  test('a message is found in its pod by its id, held and removed; an unknown id is told', async () => {
    const list = async () => {
      const { out } = await plugin(['queue', 'list', 'relay', '-o', 'json']);
      return JSON.parse(out) as Record<string, { id: string; state: string }[]>;
    };
    const queues = await list();
    const ids = Object.values(queues).map(([first]) => first?.id ?? '');
    assert.equal(ids.filter(Boolean).length, 2, JSON.stringify(queues));
    assert.equal((await plugin(['queue', 'hold', 'relay', ...ids])).status, 0);
    const states = Object.values(await list()).map(([first]) => first?.state);
    assert.deepEqual(states, ['held', 'held']);
    const folder = join(dir, 'exported');
    const exported = await plugin(['queue', 'export', 'relay', '--held', '--to', folder]);
    assert.deepEqual([exported.status, exported.errors], [0, '']);
    assert.deepEqual(readdirSync(folder), ids.map((id) => `${id}.eml`).toSorted());
    const one = await plugin(['queue', 'export', 'relay', ids[1] ?? '']);
    assert.equal(one.out, readFileSync(join(folder, `${ids[1]}.eml`), 'utf8'));
    const gone = await plugin(['queue', 'remove', 'relay', ids[0] ?? '', 'nosuchid00000000', '--yes']);
    assert.deepEqual([gone.status, gone.errors.includes('no message nosuchid00000000')], [1, true]);
    assert.deepEqual(
      Object.values(await list())
        .map(({ length }) => length)
        .toSorted(),
      [0, 1],
    );
    const asked = await plugin(['queue', 'remove', 'relay', '--all']);
    assert.deepEqual([asked.status, /add --yes/.test(asked.errors)], [2, true]);
  });

  test('mail of one pod is found, and wrong usage is told once', async () => {
    const queues = JSON.parse((await plugin(['queue', 'list', 'relay', '-o', 'json'])).out);
    const [id] = Object.values<{ id: string }[]>(queues).flatMap((entries) => entries.map((one) => one.id));
    const found = await plugin(['find', 'relay', '--id', id ?? '']);
    assert.equal(found.status, 0, found.errors);
    assert.match(found.out, new RegExp(`^${id} `, 'm'));
    assert.equal((await plugin(['find', 'relay', 'nobody@nowhere.example'])).status, 1);
    const wrong = await plugin(['find', 'relay', '--nonsense']);
    assert.deepEqual([wrong.status, wrong.out, wrong.errors.trimEnd().split('\n').length], [2, '', 1]);
    const reports = await plugin(['tlsrpt', 'relay']);
    assert.match(reports.out, /^relay-0\nNo TLS report was received/);
  });

  test('test sends through the listener, step by step, and the trace has the session', async () => {
    const { status, out, errors } = await plugin([
      'test',
      'relay',
      '--from',
      'a@shop.example',
      '--to',
      'b@example.com',
    ]);
    assert.equal(status, 0, errors);
    assert.match(out, /^smtp at port 25: taken\n +\+\d+ ms S: 220 [\s\S]*C: MAIL FROM:<a@shop\.example>/);
    assert.match(out, /S: 221 Bye\n +250 [^\n]*\n +plain text\n$/);
    const traced = await until('the trace', async () => {
      const { out: lines } = await plugin(['trace', 'relay', '--since', '10m', '--no-follow']);
      return lines.includes('MAIL FROM:<a@shop.example>') && lines;
    });
    assert.match(traced, /^relay-[01] \d{4}-/);
  });

  test('the console shows both pods, and acts on a message in its pod', async (t) => {
    const page = await ConsoleProcess.start(
      ['mailrelay', 'console', 'relay', '-n', NAMESPACE, '--allow-changes'],
      {
        program: prepared().kubectl,
        env: environment(prepared().kubeconfig),
      },
    );
    t.after(() => page.stop());
    const { origin } = new URL(page.url);
    const opened = await fetch(page.url, { redirect: 'manual' });
    const headers = { cookie: opened.headers.getSetCookie()[0]?.split(';')[0] ?? '', origin };
    const ask = async <T>(path: string, body?: object) => {
      const sent = body && { method: 'POST', body: JSON.stringify(body) };
      const json = { ...headers, 'content-type': 'application/json' };
      return (await (await fetch(`${origin}/api/${path}`, { headers: json, ...sent })).json()) as T;
    };
    const look = await ask<Look>('look?after=0');
    assert.equal(look.title, `${NAMESPACE}/relay`);
    assert.deepEqual(
      look.pods.map(({ name, status, outcomes }) => [name, status?.ready, typeof outcomes?.delivered]),
      [
        ['relay-0', true, 'number'],
        ['relay-1', true, 'number'],
      ],
    );
    const [first] = (await ask<QueueAnswer>('queue?state=held')).entries;
    const story = await ask<Story>(`story?pod=${first?.pod}&id=${first?.id}`);
    assert.equal(story.queued?.id, first?.id);
    const { results } = await ask<ActAnswer>('act', { action: 'release', messages: [first] });
    assert.deepEqual(
      results.map(({ pod, id, result }) => [pod, id, result]),
      [[first?.pod, first?.id, 'done']],
    );
    const { pods, problems } = await ask<SessionsAnswer>('sessions');
    assert.deepEqual([pods.map(({ pod }) => pod), problems], [['relay-0', 'relay-1'], []]);
    const { lines } = await ask<TraceAnswer>('trace');
    assert.ok(lines.length > 0);
  });

  test('without a name the console shows all relays of the namespace', async (t) => {
    const launch = { program: prepared().kubectl, env: environment(prepared().kubeconfig) };
    const page = await ConsoleProcess.start(['mailrelay', 'console', '-n', NAMESPACE], launch);
    t.after(() => page.stop());
    const opened = await fetch(page.url, { redirect: 'manual' });
    const cookie = opened.headers.getSetCookie()[0]?.split(';')[0] ?? '';
    const answer = await fetch(new URL('/api/look?after=0', page.url), { headers: { cookie } });
    const { title, pods } = (await answer.json()) as Look;
    assert.deepEqual([title, pods.map(({ name }) => name)], [NAMESPACE, ['relay-0', 'relay-1']]);
    const none = await plugin(['console', 'relay', '--pod', 'relay-7']);
    assert.deepEqual([none.status, /no pod "relay-7"/.test(none.errors)], [1, true]);
  });

  test('diff tells what would restart, and changes nothing', async () => {
    const file = join(dir, 'relay.yaml');
    writeFileSync(file, MANIFEST);
    assert.deepEqual((await plugin(['diff', '-f', file])).out, 'No difference.\n');
    writeFileSync(file, MANIFEST.replace('port: 2599', 'port: 2598'));
    const { status, out } = await plugin(['diff', '-f', file]);
    assert.equal(status, 1);
    assert.match(out, /^spec\.outbound\.smartHosts\[0\]\.port: 2599 -> 2598\nThe router task restarts/);
    writeFileSync(file, MANIFEST.replace(/\n *trace: .*/, '').replace(', history: 1d', ''));
    const gone = await plugin(['diff', '-f', file]);
    assert.match(gone.out, /^spec\.queue\.history: 1d -> \(not set\)\nspec\.trace: .* -> \(not set\)\n/);
    writeFileSync(file, MANIFEST.replace('level: None', 'level: Nothing'));
    assert.match((await plugin(['diff', '-f', file])).errors, /spec\.outbound\.tls\.level/);
  });

  test('pause and resume set the annotation, events tell, and a report has no address', async () => {
    const paused = () =>
      get<{ metadata: { annotations?: Record<string, string> } }>('mailrelay', 'relay', NAMESPACE).metadata
        .annotations?.['mailrelay.dev/paused'];
    assert.equal((await plugin(['pause', 'relay'])).status, 0);
    assert.equal(paused(), 'true');
    assert.equal((await plugin(['resume', 'relay'])).status, 0);
    assert.equal(paused(), undefined);
    assert.match((await plugin(['events', 'relay'])).out, /^LAST SEEN +TYPE/);
    const folder = join(dir, 'report');
    const { status, errors } = await plugin(['report', 'relay', '--to', folder]);
    assert.equal(status, 0, errors);
    const files = readdirSync(folder);
    assert.ok(files.includes('relay-1.log') && files.includes('objects.yaml'), files.join(' '));
    for (const name of files)
      assert.doesNotMatch(readFileSync(join(folder, name), 'utf8'), /\b(app|a)@shop/, name);
  });

  test('restart replaces the pods one at a time, and the operator lets it', async () => {
    const before = podsOf(NAMESPACE).map(({ uid }) => uid);
    assert.equal((await plugin(['restart', 'relay'])).status, 0);
    await until(
      'new pods',
      () => podsOf(NAMESPACE).filter(({ uid }) => !before.includes(uid)).length === 2,
      180_000,
    );
    waitReady(NAMESPACE);
  });

  test('a person without the right to run commands is told which right is missing', async () => {
    const user = 'system:serviceaccount:plugin:viewer';
    kubectl(['create', 'serviceaccount', 'viewer', '-n', NAMESPACE]);
    kubectl([
      'create',
      'clusterrolebinding',
      'plugin-viewer',
      '--clusterrole=view',
      `--serviceaccount=${NAMESPACE}:viewer`,
    ]);
    const token = kubectl(['create', 'token', 'viewer', '-n', NAMESPACE]);
    const kubeconfig = join(dir, 'viewer.kubeconfig');
    const own = JSON.parse(kubectl(['config', 'view', '--raw', '-o', 'json'])) as {
      users: unknown[];
      contexts: { context: { user: string } }[];
    };
    own.users = [{ name: user, user: { token } }];
    for (const { context } of own.contexts) context.user = user;
    writeFileSync(kubeconfig, JSON.stringify(own));
    const { status, errors } = await plugin(['status', 'relay'], kubeconfig);
    assert.deepEqual([status, /"pods\/exec" is missing/.test(errors)], [1, true], errors);
    const { errors: none } = await plugin(['status', 'nobody']);
    assert.match(none, /There is no MailRelay "nobody" in namespace "plugin"/);
    kubectl(['delete', 'clusterrolebinding', 'plugin-viewer']);
  });
});
