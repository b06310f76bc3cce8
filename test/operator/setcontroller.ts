/**
 * In place of the StatefulSet controller and the kubelets: for each StatefulSet it creates claims, and bare pods with addresses
 * of the loopback, which are ready at once. A pod is never replaced for another template.
 */
import type { PodIdentity } from '#crds/podstatus.ts';
import type { Client, KubeObject } from '#operator/kube/client.ts';
import { isKubeError, KubeError } from '#operator/kube/errors.ts';
import { apiPath, CLAIM, POD, STATEFUL_SET } from '#operator/kube/kinds.ts';
import { STORAGE_CLASS } from './plane.ts';

let given = 0;

/** Which pod has an address. */
export interface Place {
  readonly key: string;
  readonly ordinal: number;
  readonly identity: PodIdentity;
}

interface Container {
  readonly name: string;
}

const namesOf = (containers: readonly Container[] = []) => containers.map(({ name }) => name).join();

const describeContainers = (containers: readonly Container[] = []) =>
  containers.map(({ name }) => ({ name, image: '', imageID: '', ready: true, restartCount: 0 }));

export interface SetSpec {
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

export class SetController {
  readonly #admin: Client;
  readonly #onPod: (address: string, place: Place) => void;
  /** By pod key. */
  readonly #addresses = new Map<string, string>();

  /** `onPod` hears of each pod before it is ready. */
  constructor(admin: Client, onPod: (address: string, place: Place) => void) {
    this.#admin = admin;
    this.#onPod = onPod;
  }

  /** Of a pod that is wanted. */
  addressOf(podKey: string): string | undefined {
    return this.#addresses.get(podKey);
  }

  /** Makes the claims and pods that the set wants, deletes the others, and tells it in the status of the set. */
  async bringAbout(key: string, set: KubeObject | undefined): Promise<void> {
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
        await this.#admin.request({ method: 'POST', path: apiPath(CLAIM, namespace), body });
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
    this.#onPod(address, { key, ordinal, identity });
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
    const admin = this.#admin;
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
    const { metadata } = await this.#admin.request<KubeObject>({ method: 'GET', path });
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
        await this.#admin.request({ method: 'DELETE', path: apiPath(POD, metadata.namespace, name) });
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
    await this.#admin.request({
      method: 'PATCH',
      path: `${apiPath(kind, namespace, name)}/status`,
      contentType: 'application/merge-patch+json',
      body: { status },
    });
  }
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
