/**
 * A real API server with etcd and the garbage collector, without nodes, for the operator. It is in the network
 * namespace that run.ts makes, once for all stories, and run.ts ends it. Tests can stop and start its parts.
 */
import { join } from 'node:path';
import { Client, type KubeObject } from '#operator/kube/client.ts';
import { apiPath, CERTIFICATE, CERTIFICATE_REQUEST, MAIL_RELAY } from '#operator/kube/kinds.ts';
import { loadConfig } from '#operator/kube/kubeconfig.ts';
import { OWN_PERMISSIONS, type Permission, RELAY_PERMISSIONS } from '#operator/kube/permissions.ts';
import { AuditLog, type Call } from '#test/cluster/audit.ts';
import { NODE_ADDRESS, writeConfiguration } from '#test/cluster/configuration.ts';
import {
  auditLogOf,
  startApiServer,
  startControllerManager,
  startEtcd,
  waitForApiServer,
} from '#test/cluster/controlplane.ts';
import { placeOf } from '#test/cluster/place.ts';
import { certManagerCrds } from '#test/cluster/programs.ts';
import { kubectl, type Starting } from '#test/cluster/starting.ts';
import { Processes } from '#test/cluster/supervise.ts';
import { until } from '#test/kit/wait.ts';

export const SYSTEM = 'mailrelay-system';
/** A StorageClass whose claims may grow. */
export const STORAGE_CLASS = 'growing';
const OPERATOR = `system:serviceaccount:${SYSTEM}:mailrelay`;
/** Only controllers that remove deleted objects, and none that creates objects. */
const CONTROLLERS = [
  'garbage-collector-controller',
  'namespace-controller',
  'persistentvolumeclaim-protection-controller',
];
const OUR_CRD = new URL('../../crds/mailrelay.yaml', import.meta.url).pathname;

/** run.ts writes these values into the environment. */
export interface Given {
  readonly name: string;
  readonly programs: readonly (readonly [string, string])[];
}

let started: Promise<Plane> | undefined;

/** The only plane of this process. A story begins with it, and without what a failed story before it has left running. */
export async function plane(): Promise<Plane> {
  started ??= Plane.start();
  const plane = await started;
  await plane.endGuests();
  return plane;
}

/** A process that works at the API server, or what stands for others. */
interface Guest {
  end(signal: NodeJS.Signals): Promise<unknown>;
}

export class Plane {
  readonly #starting: Starting;
  /** The client of a person with all permissions. Its calls do not count. */
  readonly admin: Client;
  /** The token of the operator's ServiceAccount. */
  readonly token: string;
  readonly #auditLog: AuditLog;
  readonly #guests = new Set<Guest>();

  private constructor(starting: Starting, admin: Client, token: string) {
    this.#starting = starting;
    this.admin = admin;
    this.token = token;
    this.#auditLog = new AuditLog(auditLogOf(starting.place.dir), OPERATOR);
  }

  static async start(): Promise<Plane> {
    const { name, programs } = JSON.parse(process.env['MAILRELAY_PLANE'] ?? '{}') as Given;
    if (!name) throw new Error('Run these tests by test/operator/run.ts: they need an API server');
    const place = placeOf(name);
    const starting: Starting = {
      place,
      processes: new Processes(place.dir),
      programs: new Map(programs),
      enter: ['env'],
      enterAll: [],
      say: () => undefined,
    };
    writeConfiguration(place);
    startEtcd(starting);
    startApiServer(starting);
    await waitForApiServer(starting);
    startControllerManager(starting, CONTROLLERS.join(','));
    await makeOperatorAccount(starting);
    const token = kubectl(starting, ['create', 'token', 'mailrelay', '-n', SYSTEM, '--duration=24h']).trim();
    const admin = new Client(loadConfig(join(place.dir, 'admin.kubeconfig')), () => undefined);
    // The API server may not serve an established CRD for a moment.
    for (const kind of [CERTIFICATE, CERTIFICATE_REQUEST, MAIL_RELAY])
      await until(kind.plural, () => admin.request({ method: 'GET', path: apiPath(kind) }));
    return new Plane(starting, admin, token);
  }

  get dir(): string {
    return this.#starting.place.dir;
  }

  /** Of a person with all permissions. */
  get kubeconfig(): string {
    return join(this.dir, 'admin.kubeconfig');
  }

  /** The path of a program that the test cluster is made of. */
  program(name: string): string {
    const path = this.#starting.programs.get(name);
    if (path === undefined) throw new TypeError(`${name} is not among the programs`);
    return path;
  }

  /** As a person does who uses no Helm. */
  putOurCrd(): void {
    kubectl(this.#starting, ['apply', '--server-side', '-f', OUR_CRD]);
  }

  get server(): string {
    return `https://${NODE_ADDRESS}:6443`;
  }

  get authority(): string {
    return join(this.dir, 'pki', 'ca.crt');
  }

  /** Notes one until it ends. An operator that holds the Lease would keep all later stories waiting. */
  receive(guest: Guest, ended: Promise<unknown>): void {
    this.#guests.add(guest);
    void ended.then(() => this.#guests.delete(guest));
  }

  async endGuests(): Promise<void> {
    for (const guest of this.#guests) await guest.end('SIGKILL');
  }

  /** Calls of the operator that the API server has not answered. */
  pending(): Call[] {
    return this.#auditLog.pending();
  }

  /** The answered calls of the operator to the API server. */
  calls(since: number): Call[] {
    return this.#auditLog.calls(since);
  }

  async makeNamespace(name: string): Promise<void> {
    await this.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }, 'namespaces');
  }

  /** Applies an object (server side), as a user does. */
  put(object: KubeObject, plural: string): Promise<KubeObject> {
    const { apiVersion = 'v1', kind = '', metadata } = object;
    return this.admin.request<KubeObject>({
      method: 'PATCH',
      path: apiPath({ apiVersion, kind, plural }, metadata.namespace, metadata.name),
      query: { fieldManager: 'user', force: 'true' },
      contentType: 'application/apply-patch+yaml',
      body: object,
    });
  }

  /**
   * A real StatefulSet controller beside the others, while `work` goes on. It acts on all StatefulSets that it finds, so
   * pods.ts must not run.
   */
  async withStatefulSets(work: () => Promise<void>): Promise<void> {
    const restart = async (...controllers: readonly string[]) => {
      await this.#starting.processes.end('kube-controller-manager');
      startControllerManager(this.#starting, controllers.join(','));
    };
    await restart(...CONTROLLERS, 'statefulset-controller');
    await work().finally(() => restart(...CONTROLLERS));
  }

  async takeAway(...names: readonly ('kube-apiserver' | 'etcd')[]): Promise<void> {
    for (const name of names) await this.#starting.processes.end(name);
  }

  async giveBack(...names: readonly ('kube-apiserver' | 'etcd')[]): Promise<void> {
    if (names.includes('etcd')) startEtcd(this.#starting);
    if (names.includes('kube-apiserver')) {
      this.#auditLog.forgetPending();
      startApiServer(this.#starting);
    }
    await waitForApiServer(this.#starting);
  }
}

/** Gives the operator exactly the permissions of its chart. */
async function makeOperatorAccount(starting: Starting): Promise<void> {
  const certManager = (await certManagerCrds()).filter((path) => /_certificate(request)?s\.yaml$/.test(path));
  for (const crd of [...certManager, OUR_CRD]) kubectl(starting, ['apply', '--server-side', '-f', crd]);
  const subjects = [{ kind: 'ServiceAccount', name: 'mailrelay', namespace: SYSTEM }];
  const metadata = { name: 'mailrelay', namespace: SYSTEM };
  const rbac = 'rbac.authorization.k8s.io/v1';
  const roleRef = (kind: string) => ({ apiGroup: 'rbac.authorization.k8s.io', kind, name: 'mailrelay' });
  const objects = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: SYSTEM } },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: STORAGE_CLASS },
      provisioner: 'mailrelay.test/none',
      allowVolumeExpansion: true,
    },
    { apiVersion: rbac, kind: 'ClusterRole', metadata, rules: rules(RELAY_PERMISSIONS) },
    { apiVersion: rbac, kind: 'ClusterRoleBinding', metadata, subjects, roleRef: roleRef('ClusterRole') },
    { apiVersion: rbac, kind: 'Role', metadata, rules: rules(OWN_PERMISSIONS) },
    { apiVersion: rbac, kind: 'RoleBinding', metadata, subjects, roleRef: roleRef('Role') },
  ];
  const list = { apiVersion: 'v1', kind: 'List', items: objects };
  kubectl(starting, ['apply', '--server-side', '-f', '-'], JSON.stringify(list));
  // kubectl fails at once at a CRD that has no conditions yet.
  const established = ['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s'];
  await until('the CRDs', () => kubectl(starting, established));
}

function rules(permissions: readonly Permission[]) {
  return permissions.map(({ group, resources, resourceNames = [], verbs }) => ({
    ...{ apiGroups: [group], resources, verbs },
    ...(resourceNames.length > 0 ? { resourceNames } : {}),
  }));
}
