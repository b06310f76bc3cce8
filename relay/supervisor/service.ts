/**
 * Everything in service: listening sockets, listeners, router, and the port for siblings. A change goes from one order
 * to the next. New parts start beside the old ones, and all of them succeed or nothing changes. An evacuation is an
 * order too: one without listeners, and with a giver in place of the router.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Policy } from '#crds/policyfile.ts';
import { POLICY_PORT_NAME } from '#crds/wellknown.ts';
import { type Materials, routerMaterials } from '../task/materials.ts';
import type { ForRouter, PairText, QueueFigures } from '../task/messages.ts';
import type { PairsInService } from './certificates.ts';
import type { Evacuation } from './evacuation.ts';
import type { Generation } from './generation.ts';
import { type ListenerDeps, ListenerTasks } from './listeners.ts';
import type { BoundAddress, RelayOptions } from './options.ts';
import { peekQueue } from './peekqueue.ts';
import { planRestart, type RestartPlan } from './plan.ts';
import { PolicyHost } from './policyhost.ts';
import { ReceiverPort } from './receiver.ts';
import { RouterTask, type StartedRouter } from './router.ts';
import { ListeningSockets, type Port } from './sockets.ts';

/** After a change of policy, deliveries under way end within this time or return to the queue. */
const ROUTER_DRAIN_MS = 30_000;

/** How long an empty queue waits for the receiver of its last events. */
const EVENTS_WITHIN_MS = 5 * 60_000;

export interface Order {
  readonly policy: Policy;
  readonly evacuation: Evacuation | null;
}

export type Applied = { kind: 'applied'; plan: RestartPlan } | { kind: 'failed'; message: string };

/** In addition to the options. */
export interface ServiceDeps
  extends Omit<ListenerDeps, 'onEntered' | 'onTaskEnd' | 'stateDir' | 'logFd' | 'log' | 'ticketKeyMs'> {
  readonly onQueue: (figures: QueueFigures) => void;
}

export class Service {
  readonly #options: RelayOptions;
  readonly #sockets: ListeningSockets;
  readonly listeners: ListenerTasks;
  readonly router: RouterTask;
  readonly policyHost: PolicyHost;
  readonly #receiverPort: ReceiverPort | undefined;
  #order: Order | undefined;
  #emptied = false;
  #emptyAt: number | undefined;
  readonly #clock: () => number;

  constructor(options: RelayOptions, deps: ServiceDeps) {
    this.#options = options;
    this.#clock = deps.clock;
    this.#sockets = new ListeningSockets(options.address, (socket, port) => {
      if (port === this.policy?.policyHost?.port) this.policyHost.accept(socket);
      else this.listeners.accept(socket, port);
    });
    const onEntered = (message: ForRouter) => this.router.entered(message);
    // The router finds every message in the spool. Messages between the processes only make it faster.
    const onTaskEnd = () => this.router.look();
    const parts = { ...options, ...deps, onEntered, onTaskEnd };
    this.listeners = new ListenerTasks(parts);
    this.policyHost = new PolicyHost({ ...options, ...deps });
    this.router = new RouterTask({
      ...parts,
      drainMs: ROUTER_DRAIN_MS,
      onQueue: (figures) => {
        this.listeners.learnQueue(figures);
        deps.onQueue(figures);
      },
    });
    if (options.among) this.#receiverPort = new ReceiverPort({ ...parts, port: options.among.port });
  }

  get policy(): Policy | undefined {
    return this.#order?.policy;
  }

  get evacuation(): Evacuation | null {
    return this.#order?.evacuation ?? null;
  }

  /** Processes that may have to be replaced, and why. */
  get late(): string[] {
    return [...this.listeners.late, ...this.router.late, ...(this.#receiverPort?.late ?? [])];
  }

  get addresses(): BoundAddress[] {
    return (this.policy ? listPorts(this.policy) : []).flatMap(({ name, port }) => {
      const bound = this.#sockets.addressOf(port);
      return bound ? [{ name, ...bound }] : [];
    });
  }

  /** True if an evacuation has left nothing on the disk and no process can write to it. Reads the disk. */
  isEmptied(figures: QueueFigures): boolean {
    if (!this.evacuation || !this.listeners.isIdle || this.#receiverPort?.isClosed === false) return false;
    if (this.#emptied || figures.depth + figures.held > 0) return this.#emptied;
    if (this.#waitsForEvents(figures)) return false;
    const { stateDir, log } = this.#options;
    this.#emptied = peekQueue(stateDir, log, ({ depth, damaged }) => depth + damaged) === 0;
    return this.#emptied;
  }

  #waitsForEvents({ events }: QueueFigures): boolean {
    if (!events || events.waiting === 0) return false;
    const now = this.#clock();
    this.#emptyAt ??= now;
    return now - this.#emptyAt < EVENTS_WITHIN_MS;
  }

  isOrdered(order: Order): boolean {
    return isDeepStrictEqual(this.#order, order);
  }

  usePairs({ policyHost, ...pairs }: PairsInService): void {
    this.listeners.usePairs(pairs);
    this.policyHost.usePair(policyHost);
    if (pairs.host) this.#receiverPort?.usePair(pairs.host);
  }

  useMaterials(materials: Materials): void {
    if (!this.policy) return;
    this.listeners.useMaterials(materials);
    this.router.useMaterials(routerMaterials(this.policy, materials));
  }

  /** Brings an order into force, or leaves everything unchanged. */
  async apply(order: Order, materials: Materials, pair: PairText | null): Promise<Applied> {
    const served = servedBy(order);
    const plan = this.#planFor(order, served);
    const bound = await this.#sockets.open(listPorts(served));
    if (bound.kind === 'failed') return bound;
    if (plan.router) this.router.useMaterialsForNext(routerMaterials(served, materials));
    const started = await this.#start(served, materials, order.evacuation, plan);
    if (started.kind === 'failed') {
      this.#sockets.keepOnly(this.#order ? listPorts(servedBy(this.#order)) : []);
      return started;
    }
    this.#order = order;
    this.#emptied = false;
    this.#emptyAt = undefined;
    if (started.listeners) this.listeners.putInService(started.listeners);
    if (started.router) this.router.putInService(started.router);
    this.#sockets.keepOnly(listPorts(served));
    this.policyHost.usePolicy(served.policyHost);
    await this.lookAtReceiverPort(pair);
    return { kind: 'applied', plan };
  }

  /** Opens the port for siblings if this pod stays, has a queue, and has a certificate. */
  async lookAtReceiverPort(pair: PairText | null): Promise<void> {
    const isOpen = this.#order?.evacuation === null && this.policy?.queue.mode === 'Durable';
    if (isOpen && pair && this.policy) await this.#receiverPort?.open(pair, this.policy.logging);
    if (!isOpen) this.#receiverPort?.close();
  }

  async end(drainMs: number): Promise<void> {
    this.#sockets.keepOnly([]);
    // All at once: the pod is killed when its time is over, and no client waits for a sibling.
    await Promise.all([this.#receiverPort?.stop(), this.policyHost.stop(), this.listeners.stop(drainMs)]);
    await this.router.stop(Math.min(drainMs, ROUTER_DRAIN_MS));
  }

  #planFor({ evacuation }: Order, served: Policy): RestartPlan {
    const plan = planRestart(this.#order && servedBy(this.#order), served);
    const isDurable = served.queue.mode === 'Durable';
    const changed = !isDeepStrictEqual(this.evacuation?.handover ?? null, evacuation?.handover ?? null);
    return { listener: plan.listener, router: plan.router || (isDurable && changed) };
  }

  /** Starts the tasks that the plan restarts: all of them, or none. */
  async #start(
    policy: Policy,
    materials: Materials,
    evacuation: Evacuation | null,
    plan: RestartPlan,
  ): Promise<Started> {
    const [listeners, router] = await Promise.all([
      plan.listener ? this.listeners.start(policy, materials) : undefined,
      plan.router ? this.router.start(policy, evacuation?.handover ?? null) : undefined,
    ]);
    const failed = [listeners, router].find((one) => one !== undefined && 'kind' in one);
    if (failed === undefined) return { kind: 'started', listeners, router } as Started;
    if (listeners && !('kind' in listeners)) this.listeners.abandon(listeners);
    if (router && !('kind' in router)) this.router.abandon(router);
    return failed as Extract<Started, { kind: 'failed' }>;
  }
}

type Started =
  | { kind: 'started'; listeners: Generation | undefined; router: StartedRouter | undefined }
  | { kind: 'failed'; message: string };

/** A pod in evacuation has no listeners, and Services send nobody to it. */
function servedBy({ policy, evacuation }: Order): Policy {
  if (!evacuation) return policy;
  return { ...policy, policyHost: null, inbound: { ...policy.inbound, listeners: [] } };
}

function listPorts({ inbound, policyHost }: Policy): Port[] {
  return [...inbound.listeners, ...(policyHost ? [{ name: POLICY_PORT_NAME, port: policyHost.port }] : [])];
}
