/**
 * The pods of a relay, or of all relays of a namespace, as the console asks them: by commands in each pod, with the rights of the person. A pod that does
 * not run, or that fails, answers with one sentence.
 */
import { parsePodStatus } from '#crds/podstatus.ts';
import { type OpenSessions, parseOpenSessions } from '#crds/sessions.ts';
import type { HistoryEntry, HistoryQuery } from '#relay/history/entry.ts';
import type { QueueAction, QueueEntry } from '#relay/queue/tools.ts';
import type { Reading, RelayPod, Relays } from '../console/relays.ts';
import type { Result } from '../queuetext.ts';
import type { Cluster, Ran } from './cluster.ts';
import { readJson, WRONG_USAGE } from './inpods.ts';

/** Each look starts two processes in each pod. */
const EVERY_MS = 10_000;
const LOG_LINES = '5000';
const JSON_FORM = ['-o', 'json'];

type Pods = Pick<Cluster, 'namespace' | 'listRelays' | 'listPods' | 'run' | 'log'>;

export class PodsOfRelay implements Relays {
  readonly everyMs = EVERY_MS;
  readonly #cluster: Pods;
  /** Undefined: all of the namespace. */
  readonly #relay: string | undefined;
  /** The only one that the person wants to see. */
  readonly #pod: string | undefined;

  constructor(cluster: Pods, relay: string | undefined, pod: string | undefined) {
    this.#cluster = cluster;
    this.#relay = relay;
    this.#pod = pod;
  }

  get title(): string {
    const { namespace } = this.#cluster;
    return this.#relay === undefined ? namespace : `${namespace}/${this.#relay}`;
  }

  async pods(): Promise<readonly RelayPod[]> {
    const relays = this.#relay === undefined ? await this.#cluster.listRelays() : [this.#relay];
    const pods = await Promise.all(relays.map((relay) => this.#cluster.listPods(relay)));
    return pods
      .flat()
      .filter(({ metadata }) => this.#pod === undefined || metadata.name === this.#pod)
      .map(({ metadata, status }) => new PodOfRelay(this.#cluster, metadata.name, status?.phase));
  }

  taken(): readonly [] {
    return [];
  }
}

class PodOfRelay implements RelayPod {
  readonly name: string;
  readonly #cluster: Pods;
  readonly #phase: string;

  constructor(cluster: Pods, name: string, phase = 'unknown') {
    this.#cluster = cluster;
    this.name = name;
    this.#phase = phase;
  }

  /** A pod of an earlier version tells no metrics. */
  async read(): Promise<Reading> {
    const [ran, metrics] = await Promise.all([
      this.#run('status', ...JSON_FORM),
      this.#run('status', '--metrics'),
    ]);
    const status = parsePodStatus(ran.out);
    if (!status) throw new Error(describeFailure(ran));
    return { status, metrics: metrics.code === WRONG_USAGE ? '' : metrics.out };
  }

  async sessions(): Promise<OpenSessions> {
    const ran = await this.#run('sessions', ...JSON_FORM);
    const sessions = parseOpenSessions(ran.out);
    if (!sessions) throw new Error(describeFailure(ran));
    return sessions;
  }

  async *list(): AsyncGenerator<QueueEntry> {
    yield* await this.#ask<QueueEntry>('queue', 'list', ...JSON_FORM);
  }

  async show(id: string): Promise<QueueEntry | undefined> {
    const [entry] = await this.#ask<QueueEntry>('queue', 'show', ...JSON_FORM, '--', id);
    return entry;
  }

  act(action: QueueAction, ids: readonly string[]): Promise<readonly Result[]> {
    const agreed = action === 'remove' ? ['--yes'] : [];
    return this.#ask<Result>('queue', action, ...agreed, ...JSON_FORM, '--', ...ids);
  }

  find({ id, messageId, sender, recipient, address, most }: HistoryQuery): Promise<readonly HistoryEntry[]> {
    const options = Object.entries({ id, 'message-id': messageId, sender, recipient, most });
    const given = options.flatMap(([name, value]) => (value === undefined ? [] : [`--${name}=${value}`]));
    const who = address === undefined ? [] : ['--', address];
    return this.#ask<HistoryEntry>('find', ...given, ...JSON_FORM, ...who);
  }

  async log(): Promise<readonly string[]> {
    this.#assertRuns();
    const query = { tailLines: LOG_LINES, follow: 'false' };
    const lines: string[] = [];
    for await (const line of this.#cluster.log(this.name, query, AbortSignal.timeout(EVERY_MS)))
      lines.push(line);
    return lines;
  }

  /** A list that a command prints. Its exit status may be 1 all the same, such as for a message that is gone. */
  async #ask<T>(...words: readonly string[]): Promise<readonly T[]> {
    const ran = await this.#run(...words);
    const value = readJson(ran);
    if (value === undefined) throw new Error(describeFailure(ran));
    return value as T[];
  }

  async #run(...words: readonly string[]): Promise<Ran> {
    this.#assertRuns();
    return this.#cluster.run(this.name, words);
  }

  #assertRuns(): void {
    if (this.#phase !== 'Running')
      throw new Error(
        `Pod ${this.name} does not run (${this.#phase}): see "kubectl describe pod ${this.name}"`,
      );
  }
}

/** What the command said in the pod. */
function describeFailure({ pod, errors }: Ran): string {
  const [line = ''] = errors.split('\n');
  return line === ''
    ? `The relay in pod ${pod} does not answer: try again`
    : line.replace(/^mailrelay: /, '');
}
