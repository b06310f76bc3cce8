/** What `kubectl mailrelay` makes of the answers of several pods, and what it writes on this machine. The pods are stand-ins. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { UsageError } from '../usage.ts';
import type { LiveRelay, Ran } from './cluster.ts';
import { exportMessages, takeFolder } from './export.ts';
import { describeErrors, describeOutput, judgeFound } from './inpods.ts';
import { PodsOfRelay } from './podsofrelay.ts';
import { writeReport } from './report.ts';

const ran = (pod: string, code: number, out = '', errors = ''): Ran => ({ pod, code, out, errors });
/** Not UTF-8: a message may have any octets. */
const BODY = Buffer.from([0x80, 0xff, 0x0d, 0x0a]);

let dir: string;

before(() => {
  dir = mkdtempSync(join(tmpdir(), 'mailrelay-pods-'));
});
after(() => rmSync(dir, { recursive: true, force: true }));

test('mail that one pod has found is found', () => {
  const [found, none] = [ran('relay-0', 0, 'mail'), ran('relay-1', 1, 'There is no such mail')];
  const broken = ran('relay-2', 1, '', 'mailrelay: no relay runs');
  assert.equal(judgeFound([found, none]), 0);
  assert.equal(judgeFound([none, none]), 1);
  assert.equal(judgeFound([none]), 1);
  assert.equal(judgeFound([found, none, broken]), 1);
  assert.equal(judgeFound([ran('relay-0', 2, '', 'mailrelay: wrong'), none]), 2);
});

test('wrong usage is told once, other faults for each pod, and a pod that printed nothing has no head', () => {
  const wrong = (pod: string) => ran(pod, 2, '', 'mailrelay: Unknown option\n');
  assert.equal(describeErrors([wrong('relay-0'), wrong('relay-1')]), 'mailrelay: Unknown option\n');
  assert.equal(describeOutput([wrong('relay-0'), wrong('relay-1')]), '');
  const away = (pod: string) => ran(pod, 1, '', 'mailrelay: away\n');
  assert.equal(
    describeErrors([away('relay-0'), away('relay-1')]),
    'relay-0: mailrelay: away\nrelay-1: mailrelay: away\n',
  );
  assert.equal(describeErrors([away('relay-0')]), 'mailrelay: away\n');
  assert.equal(describeErrors([ran('relay-0', 0, 'x'), ran('relay-1', 0, 'y')]), '');
  assert.equal(describeErrors([ran('relay-0', 0, 'x')]), '');
  assert.equal(
    describeOutput([ran('relay-0', 0, 'a\n'), away('relay-1'), ran('relay-2', 0, 'c\n')]),
    'relay-0\na\n\nrelay-2\nc\n',
  );
});

class Pods {
  readonly asked: string[] = [];

  async listPods() {
    return ['relay-0', 'relay-1'].map((name) => ({
      metadata: { name },
      status: { phase: 'Running' },
    })) as never;
  }

  async run(pod: string, words: readonly string[]): Promise<Ran> {
    this.asked.push(`${pod} ${words.join(' ')}`);
    if (words.includes('--wrong')) return ran(pod, 2, '', 'mailrelay: Unknown option "--wrong"\n');
    const number = pod.slice(-1);
    const states = { [`id${number}`]: 'queued', [`bad${number}`]: 'damaged' };
    const entries = Object.entries(states).map(([id, state]) => ({ id, state }));
    const shown = entries.filter(({ id }) => words[1] === 'list' || words.includes(id));
    return ran(pod, 0, JSON.stringify(shown));
  }

  async read(pod: string, words: readonly string[]) {
    this.asked.push(`${pod} ${words.join(' ')}`);
    return { pod, code: 0, out: BODY, errors: '' };
  }
}

test('messages are exported into a folder of this machine, octet by octet, by the options of the pods', async () => {
  const [pods, to] = [new Pods(), join(dir, 'new', 'exported')];
  const order = { relay: 'relay', form: 'text' } as const;
  assert.equal(await exportMessages(pods, { ...order, ids: [], options: ['--older', '2h', '--to', to] }), 0);
  assert.deepEqual(readdirSync(to), ['id0.eml', 'id1.eml']);
  assert.deepEqual(readFileSync(join(to, 'id1.eml')), BODY);
  assert.ok(pods.asked.includes('relay-1 queue list --older 2h -o json'), pods.asked.join('; '));
  assert.ok(!pods.asked.some((one) => one.includes('--to')));
  const again = exportMessages(pods, { ...order, ids: ['id0'], options: [`--to=${to}`] });
  await assert.rejects(again, /Cannot write ".*id0\.eml": /);
  const other = join(dir, 'other');
  assert.equal(await exportMessages(pods, { ...order, ids: ['id0', 'gone'], options: [`--to=${other}`] }), 1);
  assert.deepEqual(readdirSync(other), ['id0.eml']);
  const wrong = join(dir, 'wrong');
  assert.equal(await exportMessages(pods, { ...order, ids: [], options: ['--wrong', '--to', wrong] }), 2);
  assert.ok(!existsSync(wrong));
});

test('an export that names no messages, or several without a folder, is wrong usage', async () => {
  const order = { relay: 'relay', form: 'text', ids: [], options: [] } as const;
  for (const wrong of [
    {},
    { options: ['--to', dir] },
    { options: ['--all'] },
    { ids: ['id0', 'id1'] },
    { ids: ['id0'], options: ['--all'] },
    { ids: ['id0'], options: ['--to'] },
    { ids: ['id0'], options: ['--to='] },
    { ids: ['id0'], form: 'json' as const },
  ])
    await assert.rejects(
      exportMessages(new Pods(), { ...order, ...wrong }),
      UsageError,
      JSON.stringify(wrong),
    );
  assert.deepEqual(takeFolder(['--held', '--to', 'here', '--older=2h']), {
    folder: 'here',
    selecting: ['--held', '--older=2h'],
  });
});

test('the console asks the pods of one relay, or those of all relays of the namespace', async () => {
  const cluster = {
    namespace: 'mail',
    listRelays: async () => ['in', 'out'],
    listPods: async (relay: string) =>
      [0, 1].map((number) => ({
        metadata: { name: `${relay}-${number}` },
        status: { phase: 'Running' },
      })) as never,
    run: async (pod: string) => ran(pod, 1),
    async *log() {},
  };
  const namesOf = async (...given: [string | undefined, string | undefined]) => {
    const relays = new PodsOfRelay(cluster, ...given);
    return [relays.title, (await relays.pods()).map(({ name }) => name).join()];
  };
  assert.deepEqual(await namesOf('out', undefined), ['mail/out', 'out-0,out-1']);
  assert.deepEqual(await namesOf(undefined, undefined), ['mail', 'in-0,in-1,out-0,out-1']);
  assert.deepEqual(await namesOf(undefined, 'out-1'), ['mail', 'out-1']);
});

const forbidden = async (): Promise<never> => {
  throw new Error('events is forbidden');
};

test('a report has all that the person may read; without the MailRelay there is none', async () => {
  const folder = join(dir, 'report');
  const cluster = {
    readRelay: async () => ({ metadata: { name: 'relay' } }) as LiveRelay,
    listOwn: async () => [],
    list: forbidden,
    listPods: async () => [{ metadata: { name: 'relay-0' }, status: { phase: 'Running' } }] as never,
    run: async (pod: string) => ran(pod, 1, '{"ready":false}'),
    async *log() {
      yield 'a line';
    },
  };
  assert.equal(await writeReport(cluster, 'relay', folder), 1);
  assert.deepEqual(readdirSync(folder), [
    'mailrelay.yaml',
    'objects.yaml',
    'relay-0.log',
    'relay-0.status.json',
  ]);
  const whole = join(dir, 'whole');
  assert.equal(await writeReport({ ...cluster, list: async () => [] }, 'relay', whole), 0);
  assert.ok(readdirSync(whole).includes('events.txt'));
  const noPods = join(dir, 'nopods');
  assert.equal(await writeReport({ ...cluster, listPods: forbidden }, 'relay', noPods), 1);
  const none = join(dir, 'none');
  await assert.rejects(writeReport({ ...cluster, readRelay: forbidden }, 'relay', none), /is forbidden/);
  assert.ok(!existsSync(none));
});

test('the sessions of a pod are asked for by a command in it, and one of an earlier version says that it has none', async () => {
  const sessions = { inbound: [], moreInbound: 0, outbound: [], moreOutbound: 0, silentProcesses: 0 };
  const pods = new Pods();
  const cluster = Object.assign(pods, {
    namespace: 'mail',
    listRelays: async () => ['relay'],
    log: () => assert.fail(),
    run: async (pod: string, words: readonly string[]) => {
      pods.asked.push(`${pod} ${words.join(' ')}`);
      return pod === 'relay-0'
        ? ran(pod, 0, JSON.stringify(sessions))
        : ran(pod, 2, '', 'mailrelay: There is no verb "sessions"\n');
    },
  });
  const [first, second] = await new PodsOfRelay(cluster, 'relay', undefined).pods();
  assert.deepEqual(await first?.sessions(), sessions);
  await assert.rejects(second?.sessions() ?? assert.fail(), { message: 'There is no verb "sessions"' });
  assert.deepEqual(pods.asked, ['relay-0 sessions -o json', 'relay-1 sessions -o json']);
});
