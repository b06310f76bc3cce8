/**
 * What a tenant puts into its namespace against the operator: pods and large ConfigMaps with the labels of relays, those
 * that are there and those that are not, and large events about them.
 */
import { selectorLabels } from '#crds/wellknown.ts';
import type { Client, KubeObject } from '#operator/kube/client.ts';
import { apiPath, CONFIG_MAP, type Kind, POD, STATEFUL_SET } from '#operator/kube/kinds.ts';
import { until } from '#test/kit/wait.ts';
import type { Plane } from './plane.ts';

const EVENT: Kind = { kind: 'Event', apiVersion: 'v1', plural: 'events' };
const MANAGED = { 'app.kubernetes.io/managed-by': 'mailrelay-operator' };
const MEGABYTE = 1_000_000;
/** As many keys as fit into an object, with the fields that the API server notes for each of them. */
const WIDE = Object.fromEntries(Array.from({ length: 25_000 }, (_, index) => [`key${index}`, '']));

export interface Amount {
  /** Of a megabyte each. */
  readonly maps: number;
  /** Bare ones, and as many that say they are its relay's. */
  readonly pods: number;
  readonly events: number;
}

export class Belongings {
  readonly #api: Plane;
  readonly #client: Client;
  readonly #namespace: string;

  constructor(api: Plane, client: Client, namespace: string) {
    this.#api = api;
    this.#client = client;
    this.#namespace = namespace;
  }

  /** `relay` is a MailRelay of the namespace. */
  async bring(relay: string, { maps, pods, events }: Amount): Promise<void> {
    for (let index = 0; index < maps; index++) await this.#makeMap(index);
    for (let index = 0; index < pods; index++)
      await this.#makePod(`nobody-${index}`, 'nobody', [], `127.90.0.${index + 1}`);
    const set = await this.#findSet(relay);
    const { apiVersion, kind } = STATEFUL_SET;
    const owner = { apiVersion, kind, name: relay, uid: set.metadata.uid, controller: true };
    for (let index = 0; index < pods; index++)
      await this.#makePod(`${relay}-${index + 10}`, relay, [owner], `127.91.0.${index + 1}`);
    for (let index = 0; index < events; index++) await this.#makeEvent(index, set);
  }

  make(kind: Kind, body: object): Promise<KubeObject> {
    return this.#client.request({ method: 'POST', path: apiPath(kind, this.#namespace), body });
  }

  #findSet(relay: string): Promise<KubeObject> {
    const path = apiPath(STATEFUL_SET, this.#namespace, relay);
    return until('its StatefulSet', () => this.#client.request<KubeObject>({ method: 'GET', path }));
  }

  /** Each third is of nobody, as the policy of a relay that is not there, or of very many keys. */
  #makeMap(index: number): Promise<KubeObject> {
    const relay = index % 3 === 1 ? `absent-${index}` : 'nobody';
    const name = index % 3 === 1 ? `${relay}-policy` : nameMap(index);
    const annotations = { 'mailrelay.dev/applied': 'x' };
    const data = index % 3 === 2 ? WIDE : { large: 'x'.repeat(MEGABYTE) };
    return this.make(CONFIG_MAP, { metadata: { name, labels: labelFor(relay), annotations }, data });
  }

  /** The kubelet gives it an address. */
  async #makePod(name: string, relay: string, ownerReferences: object[], podIP: string): Promise<void> {
    const spec = {
      ...{ serviceAccountName: 'tenant', automountServiceAccountToken: false },
      containers: [{ name: 'relay', image: 'x' }],
    };
    await this.make(POD, { metadata: { name, labels: labelFor(relay), ownerReferences }, spec });
    await this.#api.admin.request({
      method: 'PATCH',
      path: `${apiPath(POD, this.#namespace, name)}/status`,
      contentType: 'application/merge-patch+json',
      body: { status: { phase: 'Running', podIP, podIPs: [{ ip: podIP }] } },
    });
  }

  #makeEvent(index: number, { kind, metadata: { name, uid } }: KubeObject): Promise<KubeObject> {
    const namespace = this.#namespace;
    return this.make(EVENT, {
      metadata: { name: `large-${index}` },
      involvedObject: { kind, name, uid, namespace },
      type: 'Warning',
      message: 'x'.repeat(MEGABYTE),
      lastTimestamp: new Date().toISOString(),
    });
  }
}

/** Name of one of the maps. Those of relays that are not there have other names. */
export function nameMap(index: number): string {
  return `large-${index}`;
}

export function labelFor(relay: string) {
  return { ...selectorLabels(relay), ...MANAGED };
}
