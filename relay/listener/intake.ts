/**
 * Where a listener puts messages: into the spool, or in mode CutThrough directly to the next hop. Refuses messages if
 * the disk has no room or the queue has reached its limit.
 */
import type { SMTPServerDataStream } from 'smtp-server';
import type { Policy } from '#crds/policyfile.ts';
import type { OutboundSession } from '#crds/sessions.ts';
import { keyOf } from '../addresses/addressmap.ts';
import { Delivery } from '../delivery/delivery.ts';
import { ContentFilter } from '../filter/filter.ts';
import type { Log } from '../observe/log.ts';
import type { Tracer } from '../observe/trace.ts';
import { Spool, type SpoolOptions } from '../spool/spool.ts';
import { isSuppressed } from '../suppression/entry.ts';
import { monotonic, wall } from '../task/clock.ts';
import type { Counters } from '../task/counts.ts';
import type { Materials } from '../task/materials.ts';
import { type HopLogins, type ListenerReports, type MailForNobody, NO_LOGINS } from '../task/messages.ts';
import type { Listed } from '../task/sessionlist.ts';
import { makeAskDns } from '../verify/names.ts';
import { Verifier } from '../verify/verifier.ts';
import type { Arrival } from './arrival.ts';
import type { Judges } from './judging.ts';
import { PassOn } from './passon.ts';
import { asRefusal, receiveMessage } from './receive.ts';
import { REPLIES, Refusal, type Reply } from './reply.ts';

export interface Intake extends ListenerReports {
  /** Throws a Refusal. */
  take(stream: SMTPServerDataStream, arrival: Arrival): Promise<{ id: string; bytes: number; reply: string }>;
  /** Why a message of this size cannot be accepted now. Undefined if it can. */
  refusalOfMore(bytes: number): Reply | undefined;
  /** Absent if the policy suppresses no recipient. */
  readonly isSuppressed?: (address: string) => boolean;
  useMaterials(materials: Materials): void;
  /** To next hops. Only in mode CutThrough. */
  readonly connections: readonly Listed<OutboundSession>[];
  /** Sets the size of the queue, as the router reports it. */
  learnQueue(figures: { depth: number; bytes: number }): void;
  /** The text of an I/O error that this process could not recover the store from. */
  lastingFault(): string | undefined;
  close(): Promise<void>;
}

export interface IntakeDeps {
  readonly log: Log;
  readonly tracer: Tracer;
  readonly counters: Counters;
  readonly onEntered: (id: string) => void;
  readonly onNowhere: (mail: MailForNobody) => void;
}

export function openIntake(policy: Policy, materials: Materials, stateDir: string, deps: IntakeDeps): Intake {
  const { counters, log } = deps;
  if (policy.queue.mode === 'CutThrough') return new CutThrough(policy, materials, deps);
  const onSync = () => counters.add('spool_syncs', 'listener');
  const onRecovered: SpoolOptions['onRecovered'] = (recovered) => log('spool_recovered', { ...recovered });
  const spool = new Spool(stateDir, onSync, 'late', { onRecovered });
  const durable = new Durable(policy, { ...deps, spool, judges: makeJudges(policy, materials, deps) });
  if (policy.queue.suppression === null) return durable;
  return Object.assign(durable, { isSuppressed: findSuppressed(spool, deps) });
}

function makeJudges(policy: Policy, materials: Materials, { log, counters }: IntakeDeps): Judges {
  const { filter, authenticationResults: wanted } = policy.inbound;
  return {
    filter: filter ? new ContentFilter(filter, materials, { log, counters, clock: monotonic }) : undefined,
    verifier: wanted
      ? new Verifier({
          id: wanted.authservId,
          seals: wanted.arcSealDomain !== null,
          askDns: makeAskDns(policy),
          log,
          counters,
        })
      : undefined,
  };
}

interface DurableDeps extends Pick<IntakeDeps, 'onEntered' | 'onNowhere'> {
  readonly spool: Spool;
  readonly judges: Judges;
}

class Durable implements Intake {
  readonly #policy: Policy;
  readonly #spool: Spool;
  readonly #judges: Judges;
  readonly #deps: DurableDeps;
  readonly logins = NO_LOGINS;
  readonly connections = [];
  #depth = 0;
  #bytes = 0;

  constructor(policy: Policy, deps: DurableDeps) {
    const { spool, judges } = deps;
    this.#policy = policy;
    this.#spool = spool;
    this.#judges = judges;
    this.#deps = deps;
  }

  get filterFailure(): string | null {
    return this.#judges.filter?.failure ?? null;
  }

  lastingFault(): string | undefined {
    return this.#spool.lastingFault();
  }

  async take(stream: SMTPServerDataStream, arrival: Arrival) {
    let admitted: number | undefined;
    try {
      const admit = (bytes: number) => {
        if (this.#isFull(bytes)) throw new Refusal(REPLIES.queueFull);
        admitted = bytes;
        this.#count(1, bytes);
      };
      const deps = { spool: this.#spool, judges: this.#judges, admit };
      const { nowhere, ...taken } = await receiveMessage(stream, arrival, deps);
      if (nowhere) this.#deps.onNowhere(nowhere);
      else this.#deps.onEntered(taken.id);
      return { ...taken, reply: `2.0.0 Ok: queued as ${taken.id}` };
    } catch (error) {
      if (admitted !== undefined) this.#count(-1, -admitted);
      throw error;
    }
  }

  refusalOfMore(bytes: number): Reply | undefined {
    if (this.#isFull(bytes)) return REPLIES.queueFull;
    try {
      return this.#spool.hasRoom(bytes) ? undefined : REPLIES.diskFull;
    } catch (error) {
      return asRefusal(error).reply;
    }
  }

  useMaterials(materials: Materials): void {
    this.#judges.filter?.use(materials);
  }

  learnQueue({ depth, bytes }: { depth: number; bytes: number }): void {
    this.#depth = depth;
    this.#bytes = bytes;
  }

  close(): Promise<void> {
    return this.#spool.close();
  }

  /** The router reports twice a second. Between two reports this process counts its own messages. */
  #count(messages: number, bytes: number): void {
    this.#depth += messages;
    this.#bytes += bytes;
  }

  /**
   * Checked at MAIL and again after the message, because many clients may have sent MAIL while there was room for one.
   */
  #isFull(bytes: number): boolean {
    const { maxMessages, maxBytes } = this.#policy.queue;
    return (
      (maxMessages !== null && this.#depth >= maxMessages) ||
      (maxBytes !== null && this.#bytes + bytes > maxBytes)
    );
  }
}

/** While the store cannot be read nobody is suppressed: the next hop decides. */
function findSuppressed({ suppressions }: Spool, { log, counters }: IntakeDeps) {
  return (address: string): boolean => {
    try {
      if (!isSuppressed(suppressions.find(keyOf(address)), wall())) return false;
    } catch {
      return false;
    }
    counters.add('suppressed');
    log('suppressed', { to: address });
    return true;
  };
}

class CutThrough implements Intake {
  readonly #courier: Delivery;
  readonly #passOn: PassOn;
  readonly lastingFault = () => undefined;
  readonly filterFailure = null;

  constructor(policy: Policy, materials: Materials, { log, tracer, counters }: IntakeDeps) {
    const count = (counter: string, label: string) => counters.add(counter, label);
    this.#courier = Delivery.overSmtp(policy, materials, { tracer, log, count, stateDir: null });
    this.#passOn = new PassOn(this.#courier, log, counters);
  }

  get logins(): HopLogins {
    return this.#courier.logins;
  }

  get connections(): readonly Listed<OutboundSession>[] {
    return this.#courier.connections;
  }

  async take(stream: SMTPServerDataStream, arrival: Arrival) {
    const { id, bytes, reply } = await this.#passOn.pass(stream, arrival);
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

  close(): Promise<void> {
    return this.#courier.close();
  }
}
