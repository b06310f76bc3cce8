/** What `kubectl mailrelay` prints of several pods, and how it ends, where one of them gives no answer, or a part. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { mailRelaySpec } from '#crds/mailrelay.ts';

import { changed } from '#test/fixtures/manifests.ts';
import { podReport, relayObject } from '#test/fixtures/world.ts';
import { showCertificates } from './cert.ts';
import type { Cluster, LiveRelay, Ran } from './cluster.ts';
import { runInPods } from './inpods.ts';
import { runQueue } from './queue.ts';
import { testListeners } from './test.ts';
import { showLoad } from './top.ts';
import { followTrace } from './trace.ts';

const dir = mkdtempSync(join(tmpdir(), 'mailrelay-asked-'));
after(() => rmSync(dir, { recursive: true }));

const AWAY = 'Cannot run a command in pod "relay-1": its node does not answer';
const report = podReport(relayObject());
const STATUS = JSON.stringify(report);
const CUT = '[\n{"id":"id0"}';

type Answer = Partial<Omit<Ran, 'pod'>> | Error;

/** Pods relay-0, relay-1 and so on, each with the answer to any command. */
class Pods {
  readonly namespace = 'mail';
  readonly asked: string[] = [];
  readonly relay: Partial<LiveRelay>;
  readonly #answers: readonly Answer[];

  constructor(answers: readonly Answer[], relay: Partial<LiveRelay> = {}) {
    this.#answers = answers;
    this.relay = relay;
  }

  async readRelay() {
    return this.relay as LiveRelay;
  }

  async listPods() {
    return this.#answers.map((_, number) => ({
      metadata: { name: `relay-${number}` },
      status: { phase: 'Running' },
    })) as unknown as Awaited<ReturnType<Cluster['listPods']>>;
  }

  async run(pod: string, words: readonly string[]): Promise<Ran> {
    this.asked.push([pod, ...words].join(' '));
    const answer = this.#answers[Number(pod.slice(-1))] ?? assert.fail(pod);
    if (answer instanceof Error) throw answer;
    return { pod, code: 0, out: '', errors: '', ...answer };
  }

  async read(pod: string, words: readonly string[]) {
    const { out, ...rest } = await this.run(pod, words);
    return { ...rest, out: Buffer.from(out) };
  }
}

async function printed(t: TestContext, work: () => Promise<number>) {
  const texts = { out: '', errors: '' };
  const keep = (stream: NodeJS.WriteStream, name: keyof typeof texts) => {
    const write = stream.write.bind(stream);
    return t.mock.method(stream, 'write', (text: string | Uint8Array) => {
      // What the runner of the tests writes goes on.
      if (typeof text !== 'string') return write(text);
      texts[name] += text;
      return true;
    });
  };
  const mocks = [keep(process.stdout, 'out'), keep(process.stderr, 'errors')];
  try {
    return { code: await work(), ...texts };
  } finally {
    for (const mock of mocks) mock.mock.restore();
  }
}

const order = { relay: 'relay', words: ['status'], form: 'text' } as const;
const top = { isOnce: true, signal: new AbortController().signal };

test('a pod that cannot be asked takes nothing from the answers of the others', async (t) => {
  const pods = new Pods([{ out: 'fine\n' }, new Error(AWAY)]);
  const text = await printed(t, () => runInPods(pods, order));
  assert.deepEqual(text, { code: 1, out: 'relay-0\nfine\n', errors: `relay-1: ${AWAY}\n` });
  const json = await printed(t, () =>
    runInPods(new Pods([{ out: '{"ready":true}' }, new Error(AWAY)]), { ...order, form: 'json' }),
  );
  assert.deepEqual([json.code, JSON.parse(json.out)], [1, { 'relay-0': { ready: true }, 'relay-1': null }]);
  await assert.rejects(
    runInPods(new Pods([new Error('no right'), new Error('no right')]), order),
    /no right/,
  );
});

test('an answer that is cut off is none, and the pod says why', async (t) => {
  const pods = new Pods([{ out: '[]' }, { code: 1, out: CUT, errors: 'mailrelay: The relay ended\n' }]);
  for (const form of ['json', 'yaml'] as const) {
    const { code, out, errors } = await printed(t, () => runInPods(pods, { ...order, form }));
    assert.deepEqual([code, errors], [1, 'relay-1: mailrelay: The relay ended\n']);
    assert.match(out, form === 'json' ? /"relay-1": null/ : /^relay-1: null$/m);
  }
});

test('the form goes before "--", and ids behind it', async (t) => {
  const pods = new Pods([{ out: '[{"id":"-id0"}]' }]);
  await printed(t, () => runInPods(pods, { ...order, words: ['find', '--', '-x'], form: 'json' }));
  const wish = { relay: 'relay', action: 'hold', words: ['--ids', '--', '-id0'], form: 'json' } as const;
  await printed(t, () => runQueue(pods, wish));
  assert.deepEqual(pods.asked, [
    'relay-0 find -o json -- -x',
    'relay-0 queue show -o json -- -id0',
    'relay-0 queue hold --ids -o json -- -id0',
  ]);
});

test('who asks for the help of a verb is asked nothing', async (t) => {
  for (const action of ['remove', 'export', 'list']) {
    const pods = new Pods([{ out: 'Usage\n' }]);
    const wish = { relay: 'relay', action, words: ['--help'], form: 'text' } as const;
    assert.deepEqual(await printed(t, () => runQueue(pods, wish)), { code: 0, out: 'Usage\n', errors: '' });
    assert.deepEqual(pods.asked, [`relay-0 queue ${action} --help`]);
  }
});

test('a message is not said to be nowhere while a pod gives no answer', async (t) => {
  const hold = { relay: 'relay', action: 'hold', words: ['id0', 'id9'], form: 'text' } as const;
  for (const silent of [new Error(AWAY), { code: 1, out: CUT, errors: `mailrelay: ${AWAY}\n` }]) {
    const pods = new Pods([{ out: '[{"id":"id0"}]' }, silent]);
    const { code, errors } = await printed(t, () => runQueue(pods, hold));
    assert.equal(code, 1);
    assert.match(
      errors,
      /its node does not answer\n.*no message id9 in the queues of relay that answer\.\n$/,
    );
    assert.equal(pods.asked.at(-1), 'relay-0 queue hold -- id0');
  }
});

test('a pod names no file outside of the folder of an export', async (t) => {
  const to = join(dir, 'to');
  const pods = new Pods([{ out: '[{"id":"../escaped","state":"queued"}]' }]);
  const wish = { relay: 'relay', action: 'export', words: ['--all', '--to', to], form: 'text' } as const;
  await assert.rejects(
    printed(t, () => runQueue(pods, wish)),
    /which is no queue id/,
  );
  assert.ok(!existsSync(join(dir, 'escaped.eml')));
});

test('what a pod prints ends in no command for the terminal', async (t) => {
  const hostile = { code: 1, out: 'a\tb\u001b[31m\u202e\n', errors: 'c\u009b2J\n' };
  const { out, errors } = await printed(t, () => runInPods(new Pods([hostile]), order));
  assert.deepEqual([out, errors], ['a\tb?[31m?\n', 'c?2J\n']);
});

test('top tells programs what it tells people, and a pod without an answer is a failure', async (t) => {
  const pods = new Pods([{ out: STATUS }, { code: 1, errors: 'mailrelay: No relay answers\n' }]);
  const json = await printed(t, () => showLoad(pods, 'relay', { ...top, form: 'json' }));
  assert.equal(json.code, 1);
  assert.equal(json.errors, 'mailrelay: No relay answers\n');
  const { queue, sessions } = report;
  assert.deepEqual(JSON.parse(json.out), {
    'relay-0': {
      ready: report.ready,
      sessions: sessions.open,
      tls: null,
      queue: queue.depth,
      held: queue.held,
      oldestSeconds: queue.oldestSeconds,
      waitsFor: queue.deferrals.map(({ destination }) => destination),
    },
    'relay-1': null,
  });
  const text = await printed(t, () => showLoad(pods, 'relay', { ...top, form: 'text' }));
  assert.match(text.out, /^POD +READY [\s\S]*^relay-1 +no answer$/m);
  const whole = await printed(t, () =>
    showLoad(new Pods([{ out: STATUS }]), 'relay', { ...top, form: 'yaml' }),
  );
  assert.deepEqual([whole.code, /^relay-0:\n {2}ready: /.test(whole.out)], [0, true]);
});

test('cert tells programs all certificates; a fault of any, and a pod without an answer, is a failure', async (t) => {
  const problem = { reason: 'Expired', message: 'it has ended \u001b[31m' };
  const cert = async (form: 'text' | 'json', ...answers: Answer[]) =>
    printed(t, () => showCertificates(new Pods(answers), { relay: 'relay', form }));
  const well = await cert('json', { out: STATUS });
  const { pods, condition } = JSON.parse(well.out);
  assert.deepEqual([well.code, condition, pods['relay-0'].certificate], [0, null, report.certificate]);
  for (const name of ['certificateProblem', 'internalCertificateProblem', 'policyHostCertificateProblem']) {
    const faulty = { out: JSON.stringify({ ...report, [name]: problem }) };
    const { code, out } = await cert('text', { out: STATUS }, faulty);
    assert.deepEqual([code, /Expired: it has ended \?\[31m\n/.test(out)], [1, true], name);
  }
  const silent = await cert('text', { out: STATUS }, new Error(AWAY));
  assert.deepEqual([silent.code, silent.errors], [1, `${AWAY}\n`]);
  assert.match(silent.out, /^relay-1\nno answer$/m);
});

test('test tells programs each listener, and is no success where none was tried', async (t) => {
  const listeners = [
    { name: 'smtp', port: 25 },
    { name: 'submission', port: 587, auth: 'Required' },
  ];
  const spec = mailRelaySpec.parse(
    changed({ inbound: { listeners, clients: { usersSecretName: 'users' } } }),
  );
  const wish = { relay: 'relay', from: 'a@b.example', to: 'c@d.example' };
  const ran = { out: '+1 ms S: 220 hi\n250 Ok\n', errors: '' };
  const json = await printed(t, () => testListeners(new Pods([ran], { spec }), { ...wish, form: 'json' }));
  assert.equal(json.code, 0);
  assert.deepEqual(JSON.parse(json.out), [
    {
      listener: 'smtp',
      port: 25,
      result: 'taken',
      reason: null,
      steps: ['+1 ms S: 220 hi', '250 Ok'],
      errors: [],
    },
    {
      ...{ listener: 'submission', port: 587, result: 'not tried', reason: 'it wants a login: add --user' },
      ...{ steps: [], errors: [] },
    },
  ]);
  const only = { ...wish, listener: 'submission', form: 'text' } as const;
  const none = await printed(t, () => testListeners(new Pods([ran], { spec }), only));
  assert.deepEqual(
    [none.code, none.out],
    [1, 'submission at port 587: not tried: it wants a login: add --user\n'],
  );
});

const LINE = '2026-01-31T18:00:00.000Z [abc] 192.0.2.1 session begins';

/** Of each pod the lines of its log; an error is that of its last read. */
const logging = (...logs: (string | Error)[][]) =>
  Object.assign(new Pods(logs.map(() => ({}))), {
    log: async function* (pod: string, _: unknown, signal: AbortSignal) {
      for (const one of logs[Number(pod.slice(-1))] ?? []) {
        if (one instanceof Error) throw one;
        yield one;
      }
      if (signal.aborted) throw new Error('This operation was aborted');
    },
  });

test('a trace goes on without a log that cannot be read, and Ctrl-C is its usual end', async (t) => {
  const stop = new AbortController();
  const wish = { relay: 'relay', follow: true };
  const follow = (pods: ReturnType<typeof logging>, more = {}) =>
    printed(t, () => followTrace(pods, { ...wish, ...more }, stop.signal));
  const away = logging([new Error('node is away')], ['{"event":"x"}', LINE]);
  assert.deepEqual(await follow(away), {
    code: 1,
    out: `relay-1 ${LINE}\n`,
    errors: 'relay-0: node is away\n',
  });
  const other = await follow(logging([LINE]), { peer: '192.0.2.9' });
  assert.deepEqual(other, { code: 0, out: '', errors: 'There is no line of such a session.\n' });
  assert.match((await follow(logging(['{}']))).errors, /no line of a trace: the MailRelay turns it on/);
  stop.abort();
  assert.deepEqual(await follow(logging([LINE])), { code: 0, out: `${LINE}\n`, errors: '' });
});
