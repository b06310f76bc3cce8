/**
 * Some life of a relay with its disk recorded: mail small and large, delivered, returned, waiting and held, a clean stop
 * in the middle. Every promise is noted with its place in the one order of the disk's calls, the time of its making a
 * little late and that of its keeping a little early: so it is known what a relay owes after a cut at any place.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DiskCall, readCalls } from '#test/kit/diskrecord.ts';
import { DiskShim, type Fault, type SyncSite } from '#test/kit/diskshim.ts';
import { type Answer, Hop, type Said } from '#test/kit/hop.ts';
import { storyManifest } from '#test/kit/manifest.ts';
import { freePort } from '#test/kit/ports.ts';
import { type Luck, rebuild } from '#test/kit/powercut.ts';
import { doToQueue, listQueue } from '#test/kit/queuetools.ts';
import { TestRelay } from '#test/kit/relay.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';

const LARGE = 300_000;
const LOOKS = 4;

/** `arrived` or `returned` at the hop, or `held` in the queue. */
type Fate = 'arrived' | 'returned' | 'held';

interface Promised {
  readonly id: string;
  readonly fate: Fate;
  readonly queueId: string;
  readonly madeAt: number;
}

export interface Life {
  readonly calls: readonly DiskCall[];
  readonly promises: readonly Promised[];
  /** Where in the order each was kept, by `fate id`. */
  readonly kept: ReadonlyMap<string, number>;
  /** Where the fault was. */
  readonly fired?: string | undefined;
  /** Made anew it costs time at each start. */
  readonly localCa?: string;
  remove(): void;
}

/** How often all kinds of mail come, and how large the small ones are. */
interface Course {
  readonly waves: number;
  readonly bytes: number;
  /** Its syncs do nothing. */
  readonly ignored?: SyncSite;
  /** From when the relay is up. */
  readonly fault?: Fault;
}

export async function record({ waves, bytes, ignored, fault }: Course): Promise<Life> {
  const dir = mkdtempSync(join(tmpdir(), 'mailrelay-life-'));
  const shim = new DiskShim(dir);
  shim.recordBytes(true);
  if (ignored) shim.ignoreSyncs(ignored);
  const kept = new Map<string, number>();
  const promises: Promised[] = [];
  const nextHop = await freePort();
  const hop = await Hop.start({ port: nextHop, answer: (said) => answer(said, shim, kept) });
  let relay: TestRelay | undefined;
  try {
    const manifest = ([port]: readonly number[]) => storyManifest({ port, nextHop });
    relay = await TestRelay.start({ dir, env: shim.env(), manifest });
    if (fault) shim.arm(fault);
    for (let wave = 0; wave < waves; wave++) {
      await sendAll(relay, shim, promises, wave, bytes);
      if (wave === 0) await restart(relay);
    }
    const owedHere = promises.filter(({ id, fate }) => fate !== 'held' && !id.startsWith('wait'));
    await until('delivery', () => owedHere.every(({ id, fate }) => kept.has(`${fate} ${id}`)), 60_000);
  } finally {
    await relay?.stop();
    await hop.down();
  }
  const calls = readCalls(shim.recorded());
  const { fired } = shim;
  shim.remove();
  return {
    calls,
    fired,
    promises,
    kept,
    localCa: join(dir, 'state', 'local-ca'),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

async function restart(relay: TestRelay): Promise<void> {
  await relay.stop();
  await relay.up();
}

/** Before the relay hears that the message is taken, and so before it writes it down. */
function answer({ step, line }: Said, shim: DiskShim, kept: Map<string, number>): Answer {
  if (step === 'RCPT' && line.includes('<no')) return '550 5.1.1 nobody here';
  if (step === 'RCPT' && line.includes('<wait')) return '451 4.2.1 later';
  if (step === 'message') note(line, kept, shim.now);
  return undefined;
}

function note(text: string, kept: Map<string, number>, at: number): void {
  const id = /^X-Test-Id: (.*?)\r?$/m.exec(text)?.[1] ?? '';
  const key = `${/multipart\/report/.test(text) ? 'returned' : 'arrived'} ${id}`;
  if (!kept.has(key)) kept.set(key, at);
}

/** A relay whose disk failed takes it at the second attempt, or the third. */
async function sendUntilTaken(port: number, to: readonly string[], text: string): Promise<string> {
  return until('the message to be taken', async () => {
    const client = await SmtpClient.connect(port);
    try {
      await client.hello();
      return /queued as (\S+)/.exec(await client.send('me@client.example', to, text))?.[1];
    } finally {
      client.close();
    }
  });
}

async function sendAll(
  relay: TestRelay,
  shim: DiskShim,
  promises: Promised[],
  wave: number,
  bytes: number,
): Promise<void> {
  const send = async (name: string, to: readonly string[], size: number, fates: readonly Fate[]) => {
    const id = `${name}-${wave}`;
    const queueId = await sendUntilTaken(relay.ports[0] ?? 0, to, messageText(id, size));
    promises.push(...fates.map((fate) => ({ id, fate, queueId, madeAt: shim.now })));
    return queueId;
  };
  await send('small', ['yes@example.com'], bytes, ['arrived']);
  await send('large', ['yes@example.com'], LARGE, ['arrived']);
  await send('wait', ['wait@example.com'], bytes, ['arrived']);
  await send('waitlarge', ['wait@example.com'], LARGE, ['arrived']);
  await send('no', ['no@example.com'], bytes, ['returned']);
  await send('nolarge', ['no@example.com'], LARGE, ['returned']);
  await send('both', ['yes@example.com', 'no@example.com'], bytes, ['arrived', 'returned']);
  const held = await send('hold', ['wait@example.com'], bytes, []);
  await until('the message to be held', async () => {
    const [done] = await doToQueue(relay, 'hold', held);
    return done?.result === 'done';
  });
  promises.push({ id: `hold-${wave}`, fate: 'held', queueId: held, madeAt: shim.now });
}

/** What is owed after a cut behind that place. */
function owedAfter({ promises, kept }: Omit<Life, 'remove'>, at: number): Promised[] {
  return promises.filter(
    ({ id, fate, madeAt }) => madeAt <= at && (kept.get(`${fate} ${id}`) ?? Number.POSITIVE_INFINITY) > at,
  );
}

/**
 * Queue ids whose client heard a 250. A message that was cut off on its way into the queue may be set aside as damaged:
 * its client sends it again.
 */
function acknowledgedAt({ promises }: Omit<Life, 'remove'>, at: number): Set<string> {
  return new Set(promises.filter(({ madeAt }) => madeAt <= at).map(({ queueId }) => queueId));
}

/** Starts a relay on what is left after a cut; what it does not keep of what is owed, or what else is wrong. */
export async function broken(life: Omit<Life, 'remove'>, at: number, luck: Luck): Promise<readonly string[]> {
  const dir = mkdtempSync(join(tmpdir(), 'mailrelay-cut-'));
  const state = join(dir, 'state');
  mkdirSync(state, { mode: 0o700 });
  if (life.localCa) cpSync(life.localCa, join(state, 'local-ca'), { recursive: true });
  rebuild(
    life.calls.filter(({ end }) => end <= at),
    luck,
    state,
  );
  const kept = new Map<string, number>();
  const nextHop = await freePort();
  const hop = await Hop.start({
    port: nextHop,
    answer: ({ step, line }) => {
      if (step === 'message') note(line, kept, 0);
      return step === 'RCPT' && line.includes('<no') ? '550 5.1.1 nobody here' : undefined;
    },
  });
  let relay: TestRelay | undefined;
  try {
    relay = await TestRelay.start({ dir, manifest: ([port]) => storyManifest({ port, nextHop }) });
    return await missing(relay, kept, owedAfter(life, at), acknowledgedAt(life, at));
  } catch (error) {
    return [(error as Error).message];
  } finally {
    await relay?.kill9();
    await hop.down();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** What is not at the hop while nothing is on its way is missing; reports are on their way under ids of their own. */
async function missing(
  relay: TestRelay,
  kept: ReadonlyMap<string, number>,
  owed: readonly Promised[],
  acknowledged: ReadonlySet<string>,
): Promise<readonly string[]> {
  let inVain = 0;
  return until('what is owed', async () => {
    const entries = await listQueue(relay);
    const queued = new Map(entries.map(({ id, state }) => [id, state]));
    const open = owed.filter(({ id, fate, queueId }) =>
      fate === 'held' ? queued.get(queueId) !== 'held' : !kept.has(`${fate} ${id}`),
    );
    const damaged = entries
      .filter(({ id, state }) => state === 'damaged' && acknowledged.has(id))
      .map(({ id }) => `damaged: ${id}`);
    if (open.length + damaged.length === 0) return [];
    inVain = entries.some(({ state }) => state === 'queued') ? 0 : inVain + 1;
    return inVain < LOOKS ? undefined : [...open.map(({ id, fate }) => `not ${fate}: ${id}`), ...damaged];
  });
}
