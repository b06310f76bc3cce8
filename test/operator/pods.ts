/**
 * Replaces StatefulSet controller, kubelets and relays (setcontroller.ts makes claims and pods). At the addresses of the pods
 * one server answers `/status` as a relay does, by long polls, with the report of podreport.ts. A pod takes a new policy at
 * once. A pod that the scale file does not want has handed its queue over at once.
 */
import { createServer, type ServerResponse } from 'node:http';
import { isDeepStrictEqual } from 'node:util';
import { AUTHORITIES_FILE_NAME, parseAuthorities } from '#crds/authoritiesfile.ts';
import type { PodIdentity, PodStatus } from '#crds/podstatus.ts';
import { hashContent, POLICY_FILE_NAME, parsePolicy } from '#crds/policyfile.ts';
import { parseScale, SCALE_FILE_NAME } from '#crds/scalefile.ts';
import { ADMIN_PORT } from '#crds/wellknown.ts';
import type { KubeObject } from '#operator/kube/client.ts';
import { isKubeError } from '#operator/kube/errors.ts';
import { OWNED_SELECTOR, type POD, STATEFUL_SET } from '#operator/kube/kinds.ts';
import { ListWatch } from '#operator/kube/listwatch.ts';
import { WorkQueue } from '#operator/kube/workqueue.ts';
import type { Plane } from './plane.ts';
import { type Mounts, type NewInside, type Orders, reportInside, reportOf } from './podreport.ts';
import { type Place, SetController, type SetSpec } from './setcontroller.ts';

const POLL_MS = 60_000;
const CONFIG_MAP = { kind: 'ConfigMap', apiVersion: 'v1', plural: 'configmaps' };

interface Poll {
  readonly response: ServerResponse;
  readonly place: Place;
  readonly timer: NodeJS.Timeout;
}

export class Pods {
  readonly #plane: Plane;
  readonly #controller: SetController;
  readonly #sets = new Map<string, KubeObject>();
  /** By relay key. They stay while the StatefulSet is made anew. */
  readonly #mounts = new Map<string, Mounts>();
  readonly #queue = new WorkQueue((key) => this.#try(key), 8, Math.random);
  readonly #watches: ListWatch[];
  readonly #stopped = Promise.withResolvers<void>();
  /** The orders by relay key. */
  readonly #orders = new Map<string, Orders>();
  /** By relay key. */
  readonly #newInside = new Map<string, NewInside>();
  /** The pod at each address. */
  readonly #places = new Map<string, Place>();
  readonly #polls = new Map<string, Set<Poll>>();
  /** By pod key, also of a pod to come: at its address the pod of another relay answers. */
  readonly #strangers = new Map<string, PodIdentity>();
  /** Answers at addresses that are no pod's; nobody unless a test says so. */
  onStranger: (address: string, response: ServerResponse) => void = (_, response) =>
    void response.writeHead(503).end();
  readonly #server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://pod');
    this.#answer(request.socket.localAddress ?? '', url.searchParams.get('since'), response);
  });

  constructor(plane: Plane) {
    this.#plane = plane;
    this.#controller = new SetController(plane.admin, (address, place) => this.#places.set(address, place));
    this.#watches = [
      this.#watch(STATEFUL_SET, (key, set) => {
        if (set) this.#sets.set(key, set);
        else this.#sets.delete(key);
        if (set) this.#mountsChanged(key, set);
        this.#queue.add(key);
      }),
      this.#watch(CONFIG_MAP, (key, map) => this.#ordersChanged(key, map)),
    ];
  }

  async start(): Promise<void> {
    // A story that fails early does not stop them, and the next one needs their port.
    this.#plane.receive({ end: () => this.stop() }, this.#stopped.promise);
    await new Promise<void>((resolve) => this.#server.listen(ADMIN_PORT, '0.0.0.0', resolve));
    for (const watch of this.#watches) watch.start();
  }

  /** From now on a pod with this identity answers at the address of this pod; undefined: the pod itself. */
  answerAs(namespace: string, pod: string, identity: PodIdentity | undefined): void {
    const key = `${namespace}/${pod}`;
    if (identity) this.#strangers.set(key, identity);
    else this.#strangers.delete(key);
    this.#settleAll(this.#places.get(this.#controller.addressOf(key) ?? '')?.key ?? '');
  }

  /** From now on the pods of this relay have a new pair inside the cluster. */
  issueInside(key: string, given: NewInside): void {
    this.#newInside.set(key, given);
    this.#settleAll(key);
  }

  async stop(): Promise<void> {
    for (const watch of this.#watches) watch.stop();
    await this.#queue.stop();
    for (const polls of this.#polls.values()) for (const { timer } of polls) clearTimeout(timer);
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    this.#stopped.resolve();
  }

  #watch(kind: typeof POD, hear: (key: string, object: KubeObject | undefined) => void): ListWatch {
    return new ListWatch({
      client: this.#plane.admin,
      kind,
      namespace: undefined,
      labelSelector: OWNED_SELECTOR,
      random: Math.random,
      onTrouble: () => undefined,
      onChange: (before, after) => {
        const { namespace, ownerReferences } = ((after ?? before) as KubeObject).metadata;
        const owner = ownerReferences?.find(({ controller }) => controller === true);
        if (owner) hear(`${namespace}/${owner.name}`, after);
      },
    });
  }

  async #try(key: string): Promise<void> {
    try {
      await this.#controller.bringAbout(key, this.#sets.get(key));
    } catch (error) {
      // The StatefulSet may be deleted meanwhile, to be created again.
      if (!isKubeError(error, 'notFound'))
        process.stderr.write(`pods of ${key}: ${(error as Error).message}\n`);
      throw error;
    }
  }

  #ordersChanged(key: string, map: KubeObject | undefined): void {
    const files = map?.['data'] as Record<string, string> | undefined;
    const text = files?.[POLICY_FILE_NAME];
    if (text === undefined) return;
    const parsed = parsePolicy(text);
    if (parsed.kind !== 'policy') throw new Error(`The operator wrote ${parsed.message}`);
    const scale = parseScale(files?.[SCALE_FILE_NAME] ?? '');
    if (scale === undefined) throw new Error('The operator wrote no scale file');
    const published = parseAuthorities(files?.[AUTHORITIES_FILE_NAME] ?? '') ?? [];
    const { replicas, order } = scale;
    this.#orders.set(key, { policy: parsed.policy, published, replicas, order });
    this.#settleAll(key);
  }

  #mountsChanged(key: string, set: KubeObject): void {
    const { volumes } = (set['spec'] as unknown as SetSpec).template.spec;
    const mounts = Object.fromEntries(volumes.map(({ name, secret }) => [name, secret?.secretName]));
    if (isDeepStrictEqual(mounts, this.#mounts.get(key))) return;
    this.#mounts.set(key, mounts);
    this.#settleAll(key);
  }

  #answer(address: string, since: string | null, response: ServerResponse): void {
    const place = this.#places.get(address);
    if (!place) {
      this.onStranger(address, response);
      return;
    }
    const status = this.#statusOf(place);
    if (!status) return void response.writeHead(503).end();
    const { key } = place;
    const polls = this.#polls.get(key) ?? new Set();
    const poll: Poll = {
      response,
      place,
      timer: setTimeout(() => {
        polls.delete(poll);
        this.#settle(poll);
      }, POLL_MS),
    };
    if (since !== status.revision) {
      this.#settle(poll);
      return;
    }
    polls.add(poll);
    this.#polls.set(key, polls);
    response.once('close', () => {
      clearTimeout(poll.timer);
      polls.delete(poll);
    });
  }

  #settleAll(key: string): void {
    for (const poll of this.#polls.get(key) ?? []) this.#settle(poll);
    this.#polls.delete(key);
  }

  #settle({ place, response, timer }: Poll): void {
    clearTimeout(timer);
    response.end(JSON.stringify(this.#statusOf(place)));
  }

  #statusOf({ key, ordinal, identity }: Place): PodStatus | undefined {
    const orders = this.#orders.get(key);
    if (!orders) return undefined;
    const report = reportOf(orders, ordinal, this.#mounts.get(key) ?? {});
    const inside =
      orders.policy.inbound.internalTls && reportInside(orders, ordinal, this.#newInside.get(key));
    const said = this.#strangers.get(`${identity.namespace}/${identity.pod}`) ?? identity;
    const revision = `${report.revision}.${said.uid}.${hashContent(inside)}`;
    return { ...report, ...inside, identity: said, revision };
  }
}
