/**
 * Where faults of the disk are tried, round after round: one relay with a library before its disk, a next hop that takes,
 * refuses or defers by the recipient's name, and what was promised to whom. A round does one thing to the relay while one
 * call of it fails or ends a process, lets it recover, and asks where everything is that was ever promised.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { peekQueue } from '#relay/supervisor/peekqueue.ts';
import { DiskShim, type Fault, type ProcessKind } from '#test/kit/diskshim.ts';
import { Hop } from '#test/kit/hop.ts';
import { Arrivals, type Expected, type Place } from '#test/kit/ledger.ts';
import { storyManifest } from '#test/kit/manifest.ts';
import { freePort } from '#test/kit/ports.ts';
import { listQueue } from '#test/kit/queuetools.ts';
import { TestRelay } from '#test/kit/relay.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';

/** The bound of a failure, not of the relay: a busy machine takes its time. */
const RECOVERED_MS = 120_000;
/** Each death makes the relay wait longer before it begins a task again. */
const DEATHS = 3;

export interface Round {
  /** Where the fault was; undefined where there are fewer calls. */
  readonly fired: string | undefined;
  /** Not found in time, but after a restart: the relay had them and did not know. */
  readonly unknown: readonly string[];
  readonly lost: readonly string[];
}

/** What is done to the relay while its disk fails. */
export interface Operation {
  readonly name: string;
  /** Whose calls fail. */
  readonly by: readonly ProcessKind[];
  readonly prepare?: (bench: FaultBench, id: string) => Promise<void>;
  /** Resolves when all of it is done; may reject. */
  readonly run: (bench: FaultBench, id: string) => Promise<void>;
  readonly tidy?: (bench: FaultBench, id: string) => Promise<void>;
}

export class FaultBench {
  readonly shim: DiskShim;
  readonly relay: TestRelay;
  readonly #hop: Hop;
  readonly #dir: string;
  readonly #nextHop: number;
  readonly #arrivals = new Arrivals();
  readonly #expected = new Map<string, Expected>();
  #rounds = 0;
  #deaths = 0;
  #isChanged = false;

  private constructor(dir: string, shim: DiskShim, relay: TestRelay, hop: Hop, nextHop: number) {
    this.#dir = dir;
    this.shim = shim;
    this.relay = relay;
    this.#hop = hop;
    this.#nextHop = nextHop;
  }

  static async start(): Promise<FaultBench> {
    const dir = mkdtempSync(join(tmpdir(), 'mailrelay-faults-'));
    const shim = new DiskShim(dir);
    const nextHop = await freePort();
    const hop = await Hop.start({
      port: nextHop,
      answer: ({ step, line }) => {
        if (step !== 'RCPT') return undefined;
        if (line.includes('<no')) return '550 5.1.1 nobody here';
        return line.includes('<wait') ? '451 4.2.1 later' : undefined;
      },
    });
    const manifest = ([port]: readonly number[]) => storyManifest({ port, nextHop });
    const relay = await TestRelay.start({ dir, env: shim.env(), manifest });
    return new FaultBench(dir, shim, relay, hop, nextHop);
  }

  async stop(): Promise<void> {
    await this.relay.kill9();
    await this.#hop.down();
    this.shim.remove();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** From one policy to another, and back. */
  changePolicy(): void {
    const [port] = this.relay.ports;
    this.#isChanged = !this.#isChanged;
    const changes = {
      starttls: this.#isChanged ? 'Disabled' : 'Enabled',
      level: this.#isChanged ? 'None' : 'Opportunistic',
    } as const;
    this.relay.edit(storyManifest({ port, nextHop: this.#nextHop, ...changes }));
  }

  /** The queue id where the message was taken; then it is to be in one of these places. */
  async send(
    id: string,
    to: readonly string[],
    bytes: number,
    places: readonly Place[],
  ): Promise<string | undefined> {
    const client = await SmtpClient.connect(this.relay.ports[0] ?? 0);
    try {
      await client.hello();
      const reply = await client.send('me@client.example', to, messageText(id, bytes));
      const queueId = /^250 .*queued as (\S+)/.exec(reply)?.[1];
      this.expect({ id, queueId: queueId ?? '', places: queueId === undefined ? ['nowhere'] : places });
      return queueId;
    } finally {
      client.close();
    }
  }

  expect(expected: Expected): void {
    this.#expected.set(expected.id, expected);
  }

  /** Resolves when it is there. */
  async inPlace(id: string): Promise<void> {
    await until(
      `${id} to be in its place`,
      async () => (await this.#misplaced(id)).length === 0,
      RECOVERED_MS,
    );
  }

  /** Does it once, with a fault on the way. */
  async round(operation: Operation, fault: Fault): Promise<Round> {
    const id = await this.#prepared(operation);
    this.shim.arm(fault);
    let isDone = false;
    const done = operation
      .run(this, id)
      .catch(() => undefined)
      .finally(() => {
        isDone = true;
      });
    await until('the fault, or the end', () => isDone || this.shim.fired, RECOVERED_MS * 2);
    const { fired } = this.shim;
    await this.#recover(fault, fired);
    await done;
    const judged = await this.#judge(id, fired);
    await operation.tidy?.(this, id);
    return { fired, ...judged };
  }

  /** Does it once, undisturbed: how many calls processes of a kind need. */
  async calls(operation: Operation, by: ProcessKind): Promise<number> {
    const id = await this.#prepared(operation);
    const before = this.shim.count(by);
    await operation.run(this, id);
    const calls = this.shim.count(by) - before;
    await this.#judge(id, undefined);
    await operation.tidy?.(this, id);
    return calls;
  }

  /** A relay that opens its store again answers 451 for up to a second. */
  #prepared(operation: Operation): Promise<string> {
    const prepare = async () => {
      const id = `${operation.name.replaceAll(' ', '-')}-${++this.#rounds}`;
      await operation.prepare?.(this, id);
      return id;
    };
    return until('what comes before the fault', prepare, RECOVERED_MS);
  }

  /** What dies as a whole is started again; the rest mends itself. */
  async #recover({ harm, by }: Fault, fired: string | undefined): Promise<void> {
    const ends =
      fired !== undefined &&
      harm.kind.startsWith('kill') &&
      (by === 'supervisor' || ('whole' in harm && harm.whole));
    if (ends) await until('the relay to end', () => !this.relay.isRunning);
    this.shim.disarm();
    if (fired !== undefined) this.#deaths += 1;
    if (!this.relay.isRunning) await this.#up();
  }

  async restart(): Promise<void> {
    await this.relay.kill9();
    await this.#up();
  }

  async #up(): Promise<void> {
    this.#deaths = 0;
    await this.relay.up();
  }

  async #judge(id: string, fired: string | undefined): Promise<Omit<Round, 'fired'>> {
    if (!this.relay.isRunning) await this.#up();
    if (fired !== undefined) await this.#takesMail(`${id}-after`);
    const inTime = await this.#stillWrong();
    if (inTime.length === 0 && this.#deaths < DEATHS) return { unknown: [], lost: [] };
    await this.restart();
    const lost = await this.#stillWrong();
    return { unknown: inTime.filter((text) => !lost.includes(text)), lost };
  }

  async #takesMail(id: string): Promise<void> {
    await until(
      'mail to be taken again',
      () => this.send(id, ['yes@example.com'], 200, ['arrived']),
      RECOVERED_MS,
    );
  }

  async #stillWrong(): Promise<readonly string[]> {
    let last: readonly string[] = ['the queue cannot be read'];
    const isWell = async () => {
      last = [...(await this.#misplaced()), ...(await this.#unknown())];
      return last.length === 0;
    };
    await until('everything to be in its place', isWell, RECOVERED_MS).catch(() => undefined);
    if (last.length === 0) this.#forgetSettled();
    return last;
  }

  /** What left the queue for good is not asked for again. */
  #forgetSettled(): void {
    for (const [id, { places }] of this.#expected)
      if (places.every((place) => place === 'arrived' || place === 'returned')) this.#expected.delete(id);
  }

  forget(id: string): void {
    this.#expected.delete(id);
  }

  /** In the spool, and not known to the router. */
  async #unknown(): Promise<readonly string[]> {
    const spooled =
      peekQueue(
        this.relay.stateDir,
        () => undefined,
        (spool) => spool.list(),
      ) ?? [];
    const known = new Set((await listQueue(this.relay)).map(({ id }) => id));
    const unknown = new Set(spooled.filter((id) => !known.has(id)));
    // One that went meanwhile is no longer in the spool.
    const left =
      peekQueue(
        this.relay.stateDir,
        () => undefined,
        (spool) => spool.list(),
      ) ?? [];
    return left.filter((id) => unknown.has(id)).map((id) => `${id} is in the spool and not in the list`);
  }

  async #misplaced(only?: string): Promise<readonly string[]> {
    const entries = await listQueue(this.relay);
    this.#arrivals.learn(this.#hop);
    return [...this.#expected.values()]
      .filter(({ id }) => only === undefined || id === only)
      .map((expected) => ({ ...expected, place: this.#arrivals.placeOf(expected, entries) }))
      .filter(({ places, place }) => !places.includes(place))
      .map(({ id, places, place }) => `${id} is ${place}, not ${places.join(' or ')}`);
  }
}
