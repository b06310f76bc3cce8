/**
 * Two pods of one relay, each with a library before its disk. In each round the second one leaves with a small and a large
 * message in its queue and an MTA-STS policy, while a call of one of the two ends a process or fails; when it has emptied, both
 * messages must be with the first one, whole, and the policy too, and it comes back for the next round.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PolicyCache } from '#relay/mtasts/cache.ts';
import { CACHE_FILE } from '#relay/mtasts/handover.ts';
import { printPolicies } from '#relay/mtasts/policiestext.ts';
import { makePair } from '#test/kit/ca.ts';
import { readCalls } from '#test/kit/diskrecord.ts';
import { DiskShim, type Fault, type SyncSite } from '#test/kit/diskshim.ts';
import { Hop } from '#test/kit/hop.ts';
import { TestPod } from '#test/kit/pod.ts';
import { freePort } from '#test/kit/ports.ts';
import { printLog } from '#test/kit/printlog.ts';
import { doToQueue, listQueue } from '#test/kit/queuetools.ts';
import { hopTo, listenerAt, policyOf } from '#test/kit/relayrig.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import type { Life } from './life.ts';

const WITHIN_MS = 60_000;
const SIZES = { small: 2_000, large: 300_000 };

interface Member {
  readonly shim: DiskShim;
  readonly pod: TestPod;
}

/** The giving end is the pod that leaves, the receiving end the one that stays. */
export type Side = 'giver' | 'receiver';

export class HandoverBench {
  readonly #dir: string;
  readonly #hop: Hop;
  readonly #hosts: readonly string[];
  readonly #port: number;
  readonly #members: Readonly<Record<Side, Member>>;
  readonly #open: { taken: boolean };
  #rounds = 0;

  private constructor(fields: {
    dir: string;
    hop: Hop;
    hosts: readonly string[];
    port: number;
    members: Readonly<Record<Side, Member>>;
    open: { taken: boolean };
  }) {
    this.#dir = fields.dir;
    this.#hop = fields.hop;
    this.#hosts = fields.hosts;
    this.#port = fields.port;
    this.#members = fields.members;
    this.#open = fields.open;
  }

  /** With a record of the receiving end, one kind of whose syncs may do nothing. */
  static async start(recorded = false, ignored?: SyncSite): Promise<HandoverBench> {
    const dir = mkdtempSync(join(tmpdir(), 'mailrelay-handover-'));
    const open = { taken: false };
    const nextHop = await freePort();
    const hop = await Hop.start({
      port: nextHop,
      answer: ({ step }) => (step === 'RCPT' && !open.taken ? '451 4.2.1 later' : undefined),
    });
    // No other test on this machine has these addresses, and the port of a hand-over is one for all.
    const network = `127.${20 + (process.pid % 200)}.${(process.pid >> 8) % 250}`;
    const hosts = [`${network}.1`, `${network}.2`];
    const port = await freePort(hosts[0]);
    const outbound = { smartHosts: [hopTo(nextHop)], discover: ['MTASTS' as const] };
    const policy = policyOf({ listeners: [listenerAt(port)] }, outbound);
    const pair = await makePair();
    const member = async (ordinal: number): Promise<Member> => {
      const folder = join(dir, String(ordinal));
      mkdirSync(join(folder, 'state'), { recursive: true });
      const shim = new DiskShim(folder);
      shim.recordBytes(recorded && ordinal === 0);
      if (ignored && ordinal === 0) shim.ignoreSyncs(ignored);
      const options = { dir: folder, name: `relay-${ordinal}`, address: hosts[ordinal] ?? '', policy, pair };
      return { shim, pod: await TestPod.start({ ...options, env: shim.env() }, 2, hosts) };
    };
    const members = { receiver: await member(0), giver: await member(1) };
    return new HandoverBench({ dir, hop, hosts, port, members, open });
  }

  async stop(): Promise<void> {
    for (const { pod, shim } of Object.values(this.#members)) {
      await pod.end('SIGKILL');
      shim.remove();
    }
    await this.#hop.down();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** Hands a queue over: from then on the receiving end owes what was in it. */
  async handOver(): Promise<Omit<Life, 'remove'>> {
    const { giver, receiver } = this.#members;
    const sent = await this.#fill();
    for (const one of [giver.pod, receiver.pod]) one.scale(1, this.#hosts.slice(0, 1));
    await until('the pod to be emptied', () => this.#isEmptied(), WITHIN_MS);
    const madeAt = receiver.shim.now;
    const promises = sent.map(({ id, queueId }) => ({ id, queueId, fate: 'arrived' as const, madeAt }));
    return { calls: readCalls(receiver.shim.recorded()), promises, kept: new Map() };
  }

  /** How many calls one of the ends needs, undisturbed. */
  async calls(side: Side): Promise<number> {
    const { shim } = this.#members[side];
    const before = shim.count(side);
    await this.round(side);
    return shim.count(side) - before;
  }

  /** Messages that did not arrive, whole and once; and where the fault was. */
  async round(side: Side, fault?: Fault): Promise<{ fired: string | undefined; wrong: readonly string[] }> {
    const { shim, pod } = this.#members[side];
    const { giver, receiver } = this.#members;
    const ids = (await this.#fill()).map(({ id }) => id);
    this.#keepPolicy();
    if (fault) shim.arm(fault);
    for (const one of [giver.pod, receiver.pod]) one.scale(1, this.#hosts.slice(0, 1));
    await until('the fault, or the end', () => shim.fired !== undefined || this.#isEmptied(), WITHIN_MS);
    const { fired } = shim;
    if (fired !== undefined && fault && 'whole' in fault.harm && fault.harm.whole)
      await until('the pod to end', () => !pod.isRunning);
    shim.disarm();
    if (!pod.isRunning) await pod.up();
    const wrong = await this.#judge(ids);
    if (wrong.length > 0)
      for (const one of ['giver', 'receiver'] as const) printLog(one, this.#members[one].pod.log);
    for (const one of [giver.pod, receiver.pod]) one.scale(2, this.#hosts);
    await until('the pod to be back', async () => (await giver.pod.status()).evacuation === null, WITHIN_MS);
    return { fired, wrong };
  }

  async #fill(): Promise<{ id: string; queueId: string }[]> {
    this.#open.taken = false;
    this.#rounds += 1;
    const client = await until('a session', () => SmtpClient.connect(this.#port, this.#hosts[1]), WITHIN_MS);
    await client.hello();
    const sent = [];
    for (const [size, bytes] of Object.entries(SIZES)) {
      const id = `${size}-${this.#rounds}`;
      const reply = await client.send('me@client.example', ['b@example.com'], messageText(id, bytes));
      const queueId = /queued as (\S+)/.exec(reply)?.[1];
      if (queueId === undefined) throw new Error(reply);
      sent.push({ id, queueId });
    }
    await client.quit();
    return sent;
  }

  /** In the place of a delivery under a policy. */
  #keepPolicy(): void {
    const now = Date.now();
    const policy = { mode: 'enforce', mxPatterns: ['mx.example'], maxAgeSeconds: 86_400, id: '1' };
    const json = JSON.stringify({ ...policy, fetchedAt: now, usedAt: now });
    writeFileSync(join(this.#dir, '1', 'state', CACHE_FILE), printPolicies([[this.#domain, json]]));
  }

  get #domain(): string {
    return `held-${this.#rounds}.example`;
  }

  /** As the router of the pod that stays would. */
  get #hasPolicy(): boolean {
    const onError = (error: Error) => console.error(error.message);
    const path = join(this.#dir, '0', 'state', CACHE_FILE);
    const cache = new PolicyCache({ path, onError, isReadOnly: true });
    cache.takeIn(Date.now());
    return cache.get(this.#domain, Date.now()) !== undefined;
  }

  async #isEmptied(): Promise<boolean> {
    return (await this.#members.giver.pod.status()).evacuation?.state === 'Emptied';
  }

  async #judge(ids: readonly string[]): Promise<readonly string[]> {
    const emptied = () => this.#isEmptied();
    const isStuck = await until('the pod to be emptied', emptied, WITHIN_MS).then(
      () => false,
      () => true,
    );
    this.#open.taken = true;
    const { pod } = this.#members.receiver;
    const arrived = async () => {
      await doToQueue(pod, 'retry', ...(await listQueue(pod)).map(({ id }) => id));
      return ids.every((id) => this.#hop.ids().includes(id));
    };
    await until('delivery', arrived, WITHIN_MS).catch(() => undefined);
    const seen = this.#hop.taken.splice(0);
    this.#hop.said.length = 0;
    const wrong = ids.filter(
      (id) => !seen.some(({ text }) => text.includes(`Test-Id: ${id}\r\n`) && text.endsWith('end\r\n')),
    );
    return [
      ...wrong.map((id) => `${id} did not arrive`),
      ...(isStuck ? ['the pod is not emptied'] : []),
      ...(this.#hasPolicy ? [] : [`the policy of ${this.#domain} did not arrive`]),
    ];
  }
}
