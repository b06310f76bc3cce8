/**
 * Replaces StatefulSet controller, kubelets and relays. For each StatefulSet it creates claims, and bare pods with
 * addresses of the loopback. At these addresses one server answers `/status` as a relay does, by long polls, and
 * reports the policy of the ConfigMap and the
 * certificate of the StatefulSet as served. A pod takes a new policy at once. A pod that the scale file does not
 * want has handed its queue over at once.
 */
import { createHash } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import { isDeepStrictEqual } from 'node:util';
import { AUTHORITIES_FILE_NAME, listFingerprints, parseAuthorities } from '#crds/authoritiesfile.ts';
import { identifyStsPolicy } from '#crds/effectivedns.ts';
import type { PodIdentity, PodStatus } from '#crds/podstatus.ts';
import { hashContent, POLICY_FILE_NAME, type Policy, parsePolicy } from '#crds/policyfile.ts';
import { parseScale, SCALE_FILE_NAME } from '#crds/scalefile.ts';
import { ADMIN_PORT } from '#crds/wellknown.ts';
import type { KubeObject } from '#operator/kube/client.ts';
import { isKubeError, KubeError } from '#operator/kube/errors.ts';
import { apiPath, CLAIM, OWNED_SELECTOR, POD, STATEFUL_SET } from '#operator/kube/kinds.ts';
import { ListWatch } from '#operator/kube/listwatch.ts';
import { WorkQueue } from '#operator/kube/workqueue.ts';
import { podReport, relayObject } from '#test/fixtures/world.ts';
import { type Plane, STORAGE_CLASS } from './plane.ts';

const POLL_MS = 60_000;
const CONFIG_MAP = { kind: 'ConfigMap', apiVersion: 'v1', plural: 'configmaps' };
const SERVED = podReport(relayObject());
/** A certificate that is valid for many years. */
const REPORT = {
  ...SERVED,
  certificate: SERVED.certificate && { ...SERVED.certificate, notAfter: '2999-01-01T00:00:00Z' },
};
let given = 0;
export const AUTHORITY = '-----BEGIN CERTIFICATE-----\nAUTHORITY\n-----END CERTIFICATE-----\n';

/** What the pods of one relay read: the policy, the scale file and the authorities file. */
interface Orders {
  readonly policy: Policy;
  readonly published: readonly string[];
  readonly replicas: number;
  readonly order: string | undefined;
}

/** The Secrets that the template of a StatefulSet mounts, by volume. */
type Mounts = Readonly<Record<string, string | undefined>>;

/** A new pair inside the cluster, its authority, and the ordinals of the pods that serve it; the others wait. */
interface NewInside {
  readonly authority: string;
  readonly servedBy: readonly number[];
}

interface Place {
  readonly key: string;
  readonly ordinal: number;
  readonly identity: PodIdentity;
}

interface Poll {
  readonly response: ServerResponse;
  readonly place: Place;
  readonly timer: NodeJS.Timeout;
}

interface Container {
  readonly name: string;
}

const namesOf = (containers: readonly Container[] = []) => containers.map(({ name }) => name).join();

const describeContainers = (containers: readonly Container[] = []) =>
  containers.map(({ name }) => ({ name, image: '', imageID: '', ready: true, restartCount: 0 }));

interface SetSpec {
  readonly replicas: number;
  readonly volumeClaimTemplates?: readonly {
    readonly metadata: { readonly name: string };
    readonly spec: { readonly resources: { readonly requests: object } };
  }[];
  readonly template: {
    readonly metadata: { readonly labels?: object };
    readonly spec: {
      readonly containers: object[];
      readonly initContainers?: readonly Container[];
      readonly volumes: readonly {
        readonly name: string;
        readonly secret?: { readonly secretName: string };
      }[];
    };
  };
}

export class Pods {
  readonly #plane: Plane;
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
  /** The pod at each address, and the address by pod key. */
  readonly #places = new Map<string, Place>();
  readonly #addresses = new Map<string, string>();
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
    this.#settleAll(this.#places.get(this.#addresses.get(key) ?? '')?.key ?? '');
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
      await this.#bringAbout(key);
    } catch (error) {
      // The StatefulSet may be deleted meanwhile, to be created again.
      if (!isKubeError(error, 'notFound'))
        process.stderr.write(`pods of ${key}: ${(error as Error).message}\n`);
      throw error;
    }
  }

  async #bringAbout(key: string): Promise<void> {
    const set = this.#sets.get(key);
    // One that is going takes no pod: the garbage collector would delete a pod that it adopts.
    if (!set || set.metadata.deletionTimestamp !== undefined) return;
    const spec = set['spec'] as unknown as SetSpec;
    for (let ordinal = 0; ordinal < spec.replicas; ordinal++) {
      await this.#makeClaims(set, spec, ordinal);
      await this.#makePod(set, spec, key, ordinal);
    }
    await this.#endPods(set, spec.replicas);
    const { generation } = set.metadata;
    const revision = revisionOf(set);
    const done = { observedGeneration: generation, currentRevision: revision, updateRevision: revision };
    const { replicas } = spec;
    const status = { ...done, replicas, updatedReplicas: replicas, readyReplicas: replicas };
    const live = (set['status'] ?? {}) as Record<string, unknown>;
    if (Object.entries(status).every(([field, value]) => live[field] === value)) return;
    await this.#setStatus(STATEFUL_SET, set.metadata, status);
  }

  async #makeClaims({ metadata }: KubeObject, spec: SetSpec, ordinal: number): Promise<void> {
    const { namespace = '' } = metadata;
    for (const template of spec.volumeClaimTemplates ?? []) {
      const name = `${template.metadata.name}-${metadata.name}-${ordinal}`;
      const body = {
        metadata: { ...template.metadata, name, namespace },
        spec: { storageClassName: STORAGE_CLASS, ...template.spec, volumeName: name },
      };
      try {
        await this.#plane.admin.request({ method: 'POST', path: apiPath(CLAIM, namespace), body });
        const { requests: capacity } = template.spec.resources;
        await this.#setStatus(CLAIM, { name, namespace }, { phase: 'Bound', capacity });
      } catch (error) {
        // The claim exists already, because claims outlive their pods.
        if (!isKubeError(error, 'conflict')) throw error;
      }
      // A claim that waited is bound now.
      await this.#setStatus(CLAIM, { name, namespace }, { phase: 'Bound' });
    }
  }

  async #makePod(set: KubeObject, { template }: SetSpec, key: string, ordinal: number): Promise<void> {
    const { name: setName, namespace = '' } = set.metadata;
    const name = `${setName}-${ordinal}`;
    const podKey = `${namespace}/${name}`;
    const labels = { ...template.metadata.labels, 'controller-revision-hash': revisionOf(set) };
    const pod = await this.#podMade({
      metadata: { ...template.metadata, labels, name, namespace, ownerReferences: [controllerOf(set)] },
      spec: {
        serviceAccountName: setName,
        automountServiceAccountToken: false,
        containers: [{ name: 'relay', image: 'mailrelay.test/relay:1' }],
      },
    });
    const { phase, podIP } = (pod['status'] ?? {}) as { phase?: string; podIP?: string };
    const address = this.#addresses.get(podKey) ?? podIP ?? nextAddress();
    this.#addresses.set(podKey, address);
    const identity = { pod: name, uid: pod.metadata.uid ?? '', namespace, relay: setName };
    this.#places.set(address, { key, ordinal, identity });
    const initContainerStatuses = describeContainers(template.spec.initContainers);
    const { initContainerStatuses: were } = (pod['status'] ?? {}) as {
      initContainerStatuses?: readonly Container[];
    };
    // A pod is not replaced for another template. It has the containers of the new one at once.
    if (phase === 'Running' && namesOf(were) !== namesOf(initContainerStatuses))
      await this.#setStatus(POD, { name, namespace }, { initContainerStatuses });
    // A pod that runs keeps the rest of the status that a test gave it.
    if (phase === 'Running') return;
    await this.#setStatus(
      POD,
      { name, namespace },
      {
        phase: 'Running',
        podIP: address,
        podIPs: [{ ip: address }],
        conditions: [{ type: 'Ready', status: 'True' }],
        initContainerStatuses,
      },
    );
  }

  /**
   * Creates the pod. An existing pod stays as it is, because others may have changed it; it is adopted if its owner is
   * gone.
   */
  async #podMade(body: KubeObject): Promise<KubeObject> {
    const { admin } = this.#plane;
    const { name, namespace } = body.metadata;
    try {
      return await admin.request<KubeObject>({ method: 'POST', path: apiPath(POD, namespace), body });
    } catch (error) {
      if (!isKubeError(error, 'conflict')) throw error;
      const path = apiPath(POD, namespace, name);
      const pod = await admin.request<KubeObject>({ method: 'GET', path });
      const { ownerReferences = [], uid } = pod.metadata;
      if (ownerReferences.some(({ controller }) => controller === true)) return pod;
      await this.#assertAdopts(body.metadata);
      return admin.request<KubeObject>({
        method: 'PATCH',
        path,
        contentType: 'application/merge-patch+json',
        body: { metadata: { uid, ownerReferences: body.metadata.ownerReferences } },
      });
    }
  }

  /** As the controller of Kubernetes: a set that is going, or was made anew, adopts nothing. Then the next look is at the new one. */
  async #assertAdopts({ namespace, ownerReferences: [owner] = [] }: KubeObject['metadata']): Promise<void> {
    const path = apiPath(STATEFUL_SET, namespace, owner?.name);
    const { metadata } = await this.#plane.admin.request<KubeObject>({ method: 'GET', path });
    if (metadata.uid !== owner?.uid || metadata.deletionTimestamp !== undefined)
      throw new KubeError('notFound', `StatefulSet/${owner?.name} is going`, 404);
  }

  /** Deletes the pods whose ordinal is not below `from`. */
  async #endPods({ metadata }: KubeObject, from: number): Promise<void> {
    for (let ordinal = from; ; ordinal++) {
      const name = `${metadata.name}-${ordinal}`;
      const podKey = `${metadata.namespace}/${name}`;
      if (!this.#addresses.has(podKey)) return;
      this.#addresses.delete(podKey);
      try {
        await this.#plane.admin.request({ method: 'DELETE', path: apiPath(POD, metadata.namespace, name) });
      } catch (error) {
        // The garbage collector has deleted the pod before.
        if (!isKubeError(error, 'notFound')) throw error;
      }
    }
  }

  async #setStatus(
    kind: typeof POD,
    { name, namespace }: { name: string; namespace?: string },
    status: object,
  ): Promise<void> {
    await this.#plane.admin.request({
      method: 'PATCH',
      path: `${apiPath(kind, namespace, name)}/status`,
      contentType: 'application/merge-patch+json',
      body: { status },
    });
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

/** The hash of the public key in a Secret: each has its own. */
export function keyIn(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

function factsOf(secret: string | undefined): PodStatus['certificate'] {
  return secret !== undefined && REPORT.certificate
    ? { ...REPORT.certificate, publicKeySha256: keyIn(secret) }
    : null;
}

function reportOf({ policy, replicas, order }: Orders, ordinal: number, mounts: Mounts): PodStatus {
  const { certificate, 'next-certificate': next } = mounts;
  const hash = `${hashContent(policy)}.${certificate}.${next}`;
  const leaves = ordinal >= replicas;
  return {
    ...REPORT,
    revision: leaves ? `${hash}.${order}` : hash,
    policy: { hash: hashContent(policy), refused: null },
    certificate: certificate === undefined ? REPORT.certificate : factsOf(certificate),
    nextCertificate:
      next === undefined ? null : ({ ...factsOf(next), secret: next } as PodStatus['nextCertificate']),
    evacuation: leaves ? { state: 'Emptied', message: null, order } : null,
    servedPolicy: policy.policyHost && {
      id: identifyStsPolicy(policy.policyHost.text),
      hosts: policy.policyHost.hosts,
    },
    sniCertificates: policy.inbound.sniCertificates.map((one) => ({
      ...one,
      certificate: REPORT.certificate,
      problem: null,
    })),
  };
}

function reportInside({ published }: Orders, ordinal: number, given: NewInside | undefined) {
  const { certificate } = REPORT;
  const next = given && certificate && { ...certificate, serial: '5B' };
  if (next && given.servedBy.includes(ordinal))
    return { internalCertificate: next, internalAuthority: given.authority };
  const isPublished = listFingerprints(given?.authority ?? '').every((one) => published.includes(one));
  const follows = isPublished ? '2999-01-01T00:00:00Z' : null;
  return {
    internalCertificate: certificate,
    internalAuthority: AUTHORITY,
    nextInternalCertificate: next && { ...next, authority: given.authority, follows },
  };
}

/** The same for each template, because a pod has the containers of a new one at once. */
const revisionOf = ({ metadata }: KubeObject) => `${metadata.name}-r`;

function controllerOf({ metadata }: KubeObject) {
  const { apiVersion, kind } = STATEFUL_SET;
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid ?? '', controller: true };
}

/**
 * An address of the loopback that no other program uses, and no pod of an earlier story: its pods stay, and an operator
 * asks one address for one pod at a time.
 */
function nextAddress(): string {
  given += 1;
  return `127.100.${Math.floor(given / 250)}.${(given % 250) + 1}`;
}
