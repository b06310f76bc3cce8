/**
 * Where messages go that a listener takes: into the spool, or, in mode CutThrough, straight to their next hop. Knows
 * when no more can be taken: no room on disk, or a queue that is as long as it may be.
 */
import type { SMTPServerDataStream } from 'smtp-server';
import type { Policy } from '#crds/policyfile.ts';
import { Delivery } from '../delivery/delivery.ts';
import type { HeaderWork } from '../headers/header.ts';
import type { Log } from '../observe/log.ts';
import type { Tracer } from '../observe/trace.ts';
import { Spool, type SpoolOptions } from '../spool/spool.ts';
import type { Counters } from '../task/counts.ts';
import type { Materials } from '../task/materials.ts';
import type { LoginsRefused } from '../task/messages.ts';
import type { Arrival } from './arrival.ts';
import { PassOn } from './passon.ts';
import { receiveMessage } from './receive.ts';
import { REPLIES, Refusal, type Reply } from './reply.ts';

export interface Intake {
  /** Throws a Refusal. */
  take(stream: SMTPServerDataStream, arrival: Arrival): Promise<{ id: string; bytes: number; reply: string }>;
  /** Why no message of so many bytes can be taken now, if so. */
  refusalOfMore(bytes: number): Reply | undefined;
  useMaterials(materials: Materials): void;
  /** How full the queue is, as its router tells. */
  learnQueue(figures: { depth: number; bytes: number }): void;
  /** After an I/O error nothing more may be taken; what it was. */
  readonly fault: string | undefined;
  /** Next hops that refuse our login, where messages go straight to them. */
  readonly loginsRefused: LoginsRefused;
  close(): Promise<void>;
}

export interface IntakeDeps {
  readonly log: Log;
  readonly tracer: Tracer;
  readonly counters: Counters;
  readonly onEntered: (id: string) => void;
}

export function intakeOf(policy: Policy, materials: Materials, stateDir: string, deps: IntakeDeps): Intake {
  const { counters, log, onEntered } = deps;
  if (policy.queue.mode === 'CutThrough') return new CutThrough(policy, materials, deps);
  const onSync = () => counters.add('spool_syncs', 'listener');
  const onRecovered: SpoolOptions['onRecovered'] = (recovered) => log('spool_recovered', { ...recovered });
  return new Durable(policy, new Spool(stateDir, onSync, 'late', { onRecovered }), onEntered);
}

class Durable implements Intake {
  readonly #policy: Policy;
  readonly #spool: Spool;
  readonly #onEntered: (id: string) => void;
  readonly loginsRefused: LoginsRefused = [];
  #depth = 0;
  #bytes = 0;

  constructor(policy: Policy, spool: Spool, onEntered: (id: string) => void) {
    this.#policy = policy;
    this.#spool = spool;
    this.#onEntered = onEntered;
  }

  get fault(): string | undefined {
    return this.#spool.fault;
  }

  async take(stream: SMTPServerDataStream, arrival: Arrival) {
    const work = workOf(this.#policy, arrival);
    let admitted: number | undefined;
    try {
      const taken = await receiveMessage(this.#spool, stream, arrival, work, (bytes) => {
        if (this.#isFull(bytes)) throw new Refusal(REPLIES.queueFull);
        admitted = bytes;
        this.#count(1, bytes);
      });
      this.#onEntered(taken.id);
      return { ...taken, reply: `2.0.0 Ok: queued as ${taken.id}` };
    } catch (error) {
      if (admitted !== undefined) this.#count(-1, -admitted);
      throw error;
    }
  }

  refusalOfMore(bytes: number): Reply | undefined {
    if (this.#isFull(bytes)) return REPLIES.queueFull;
    return this.#spool.hasRoom(bytes) ? undefined : REPLIES.diskFull;
  }

  useMaterials(): void {
    // Nothing of them is needed here.
  }

  learnQueue({ depth, bytes }: { depth: number; bytes: number }): void {
    this.#depth = depth;
    this.#bytes = bytes;
  }

  close(): Promise<void> {
    return this.#spool.close();
  }

  /** The router tells twice a second; until then our own are counted here. */
  #count(messages: number, bytes: number): void {
    this.#depth += messages;
    this.#bytes += bytes;
  }

  /** Asked twice: many may have said MAIL while there was room for one. */
  #isFull(bytes: number): boolean {
    const { maxMessages, maxBytes } = this.#policy.queue;
    return (
      (maxMessages !== null && this.#depth >= maxMessages) ||
      (maxBytes !== null && this.#bytes + bytes > maxBytes)
    );
  }
}

class CutThrough implements Intake {
  readonly #policy: Policy;
  readonly #courier: Delivery;
  readonly #passOn: PassOn;
  readonly fault = undefined;

  constructor(policy: Policy, materials: Materials, { log, tracer, counters }: IntakeDeps) {
    this.#policy = policy;
    this.#courier = Delivery.overSmtp(policy, materials, tracer);
    this.#passOn = new PassOn(this.#courier, log, counters);
  }

  get loginsRefused(): LoginsRefused {
    return this.#courier.loginsRefused;
  }

  async take(stream: SMTPServerDataStream, arrival: Arrival) {
    const { id, bytes, reply } = await this.#passOn.pass(stream, arrival, workOf(this.#policy, arrival));
    return { id, bytes, reply: `2.0.0 Ok: delivered as ${id}: ${reply.replace(/^\d{3} /, '')}` };
  }

  refusalOfMore(): undefined {
    return undefined;
  }

  useMaterials(materials: Materials): void {
    this.#courier.useMaterials(materials);
  }

  learnQueue(): void {
    // There is no queue.
  }

  async close(): Promise<void> {
    this.#courier.close();
  }
}

/** Headers are only touched for those who may relay: what strangers send passes as it is. */
function workOf({ inbound, hostname }: Policy, { envelope }: Arrival): HeaderWork | null {
  if (!envelope.ours) return null;
  return { addMissing: true, masqueradeDomains: inbound.masqueradeDomains, hostname };
}
