/**
 * A tenant with the rights of `edit` in one namespace, who uses all of them against the operator at once: it edits,
 * deletes and creates its MailRelays, and relabels, changes and deletes their objects. impostor.ts is what answers in
 * its pods, belongings.ts what it has there besides.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from '#operator/kube/client.ts';
import { isKubeError } from '#operator/kube/errors.ts';
import {
  apiPath,
  CLAIM,
  CONFIG_MAP,
  type Kind,
  MAIL_RELAY,
  OPTIONAL,
  OWNED,
  POD,
} from '#operator/kube/kinds.ts';
import { loadConfig } from '#operator/kube/kubeconfig.ts';
import { until } from '#test/kit/wait.ts';
import { type Amount, Belongings, labelFor, nameMap } from './belongings.ts';
import type { Plane } from './plane.ts';
import { kubeconfigFor } from './process.ts';
import { nameOf, relayNamed } from './relays.ts';

const RBAC = 'rbac.authorization.k8s.io/v1';
/** The ClusterRole `edit` consists of these. The chart adds MailRelays to it. */
const ROLES = ['system:aggregate-to-edit', 'system:aggregate-to-view'];
const INSTANCE = 'app.kubernetes.io/instance';
const RELAYS = 10;
/** Each does one thing after the other. */
const HANDS = 4;
type Change = (relay: string) => Promise<unknown>;

/** Half a megabyte. */
const LARGE_ROUTES = Array.from({ length: 60 }, (_, route) => ({
  recipientDomains: Array.from({ length: 250 }, (__, domain) => `d${domain}.r${route}.customers.example.com`),
  hosts: [{ host: 'mx.example.com', port: 25 }],
}));

/** Changes of a MailRelay: those that are refused, dangerous, contradict each other, or replace pods and volumes. */
const EDITS: readonly object[] = [
  ...[0, 1, 2, 3].map((replicas) => ({ replicas })),
  ...['1Gi', '2Gi', '10Ti'].map((size) => ({ queue: { storage: { size } } })),
  ...['another', null].map((className) => ({ className })),
  ...[true, false].map((enabled) => ({ inbound: { enabled } })),
  ...['0', '25Mi', '9999999Ti'].map((messageSize) => ({ inbound: { limits: { messageSize } } })),
  ...[['0.0.0.0/0'], null].map((networks) => ({ inbound: { clients: { networks } } })),
  // All its relays fill one Secret.
  { tls: { secretName: 'one', issuerRef: { name: 'ca' } } },
  { tls: { secretName: 'relay-tls', issuerRef: null } },
  ...['a', 'b', null].map((name) => ({ pod: { priorityClassName: name } })),
  ...[LARGE_ROUTES, null].map((routes) => ({ outbound: { routes } })),
];

export class Tenant {
  readonly #namespace: string;
  readonly #client: Client;
  readonly #random: () => number;
  readonly #belongings: Belongings;
  #stopped = false;
  #maps = 0;
  /** The number of changes that the API server took. */
  done = 0;

  private constructor(api: Plane, namespace: string, client: Client, random: () => number) {
    this.#namespace = namespace;
    this.#client = client;
    this.#random = random;
    this.#belongings = new Belongings(api, client, namespace);
  }

  static async enter(api: Plane, namespace: string, random: () => number): Promise<Tenant> {
    await api.makeNamespace(namespace);
    const metadata = { name: 'tenant', namespace };
    await api.put({ apiVersion: 'v1', kind: 'ServiceAccount', metadata }, 'serviceaccounts');
    await giveRights(api, metadata);
    const { status } = await api.admin.request<{ status: { token: string } }>({
      method: 'POST',
      path: `/api/v1/namespaces/${namespace}/serviceaccounts/tenant/token`,
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
    });
    const kubeconfig = join(api.dir, 'tenant.kubeconfig');
    writeFileSync(kubeconfig, JSON.stringify(kubeconfigFor(api, status.token)));
    const client = new Client(loadConfig(kubeconfig), () => undefined);
    await until('its rights', () => client.request({ method: 'GET', path: apiPath(MAIL_RELAY, namespace) }));
    return new Tenant(api, namespace, client, random);
  }

  async settleIn(amount: Amount): Promise<void> {
    this.#maps = amount.maps;
    for (let index = 0; index < RELAYS; index++) await this.#create(nameOf(index));
    await this.#belongings.bring(nameOf(0), amount);
  }

  /** Until it is stopped. Throws if it may not do something. */
  async act(): Promise<void> {
    await Promise.all(Array.from({ length: HANDS }, () => this.#actOn()));
  }

  stop(): void {
    this.#stopped = true;
  }

  async #actOn(): Promise<void> {
    const changes: readonly Change[] = [
      (relay) => this.#relabel(relay),
      (relay) => this.#disown(relay),
      (relay) => this.#spoil(relay),
      (relay) => this.#remove(this.#pathOf(this.#chooseKind(), relay)),
      (relay) => this.#merge(this.#pathOf(MAIL_RELAY, relay), { spec: this.#choose(EDITS) }),
      (relay) => this.#remove(this.#pathOf(MAIL_RELAY, relay)),
      (relay) => this.#create(relay),
      (relay) => this.#claim(relay),
      () => this.#touchMap(),
    ];
    while (!this.#stopped) {
      try {
        await this.#choose(changes)(nameOf(Math.floor(this.#random() * RELAYS)));
        this.done += 1;
      } catch (error) {
        // The operator or another hand was faster; or the API server refuses it, or is busy.
        if (!isKubeError(error, 'notFound', 'conflict', 'invalid', 'unavailable')) throw error;
      }
    }
  }

  #choose<Value>(values: readonly Value[]): Value {
    return values[Math.floor(this.#random() * values.length)] as Value;
  }

  #chooseKind(): Kind {
    return this.#choose([...OWNED.filter((kind) => !OPTIONAL.has(kind)), POD, CLAIM]);
  }

  #pathOf(kind: Kind, relay: string): string {
    const names: Readonly<Record<string, string>> = {
      ConfigMap: `${relay}-policy`,
      Pod: `${relay}-0`,
      PersistentVolumeClaim: `spool-${relay}-0`,
    };
    return apiPath(kind, this.#namespace, names[kind.kind] ?? relay);
  }

  #merge(path: string, body: object): Promise<unknown> {
    const contentType = 'application/merge-patch+json';
    return this.#client.request({ method: 'PATCH', path, contentType, body });
  }

  #remove(path: string): Promise<unknown> {
    const propagationPolicy = this.#choose(['Background', 'Orphan']);
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy };
    return this.#client.request({ method: 'DELETE', path, body });
  }

  #relabel(relay: string): Promise<unknown> {
    const labels = this.#choose<object>([
      { [INSTANCE]: 'nobody' },
      { [INSTANCE]: nameOf(0) },
      { [INSTANCE]: null },
      { 'app.kubernetes.io/managed-by': null },
    ]);
    return this.#merge(this.#pathOf(this.#chooseKind(), relay), { metadata: { labels } });
  }

  #disown(relay: string): Promise<unknown> {
    const annotations = this.#choose<object | null>([null, { 'mailrelay.dev/installation': 'others/one' }]);
    const metadata = { ownerReferences: null, annotations };
    return this.#merge(this.#pathOf(this.#chooseKind(), relay), { metadata });
  }

  /** The operator has to put it right. */
  #spoil(relay: string): Promise<unknown> {
    const spoilt: Readonly<Record<string, object>> = {
      ServiceAccount: { automountServiceAccountToken: true },
      ConfigMap: { data: { 'policy.v1.json': null } },
      NetworkPolicy: { spec: { ingress: [] } },
      PodDisruptionBudget: { spec: { minAvailable: 5 } },
      Service: { spec: { selector: { app: 'mine' } } },
      StatefulSet: { spec: { replicas: 3 } },
    };
    const kind = this.#choose(OWNED.filter(({ kind: name }) => name in spoilt));
    return this.#merge(this.#pathOf(kind, relay), spoilt[kind.kind] ?? {});
  }

  #create(relay: string): Promise<unknown> {
    return this.#belongings.make(MAIL_RELAY, relayNamed(this.#namespace, relay, { replicas: 1 }));
  }

  /** A claim for a pod that is not there, also one that no relay can have. */
  #claim(relay: string): Promise<unknown> {
    const name = `spool-${relay}-${this.#choose([1, 2, 100, 2_000_000_000])}`;
    const resources = { requests: { storage: '1Gi' } };
    return this.#belongings.make(CLAIM, {
      metadata: { name, labels: labelFor(relay) },
      spec: { accessModes: ['ReadWriteOnce'], resources },
    });
  }

  #touchMap(): Promise<unknown> {
    const name = nameMap(Math.floor(this.#random() * this.#maps));
    const labels = { touched: String(this.done) };
    return this.#merge(apiPath(CONFIG_MAP, this.#namespace, name), { metadata: { labels } });
  }
}

async function giveRights(api: Plane, account: { name: string; namespace: string }): Promise<void> {
  const { name, namespace } = account;
  const rules = [
    { apiGroups: ['mailrelay.dev'], resources: ['mailrelays', 'mailrelays/scale'], verbs: ['*'] },
  ];
  await api.put({ apiVersion: RBAC, kind: 'Role', metadata: account, rules }, 'roles');
  const given = [...ROLES.map((role) => ({ kind: 'ClusterRole', name: role })), { kind: 'Role', name }];
  for (const [index, role] of given.entries())
    await api.put(
      {
        ...{ apiVersion: RBAC, kind: 'RoleBinding', metadata: { name: `${name}-${index}`, namespace } },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', ...role },
        subjects: [{ kind: 'ServiceAccount', ...account }],
      },
      'rolebindings',
    );
}
