/**
 * The settings of the operator, from its command line and environment. Wrong usage is reported in one sentence. A
 * setting that the chart sets has no default here, because two defaults could differ.
 */
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { USER_IDS } from '#crds/workload.ts';
import { LEASE_NAME } from './kube/lease.ts';
import type { RenderSettings } from './render/index.ts';

export const HELP = `Usage: mailrelay operator --relay-image IMAGE [options]

Reconciles MailRelays: makes relay pods, asks cert-manager for certificates, and reports what the pods serve.

  --relay-image IMAGE        image of the relay pods                     (env RELAY_IMAGE)
  --relay-image-pull-policy  Always, IfNotPresent or Never               (IfNotPresent)
  --image-pull-secrets A,B   pull secrets of the relay pods
  --user-ids Fixed|Assigned  who names user and group of the relay pods: the
                             operator, or the cluster, as OpenShift does (Fixed)
  --namespaces A,B           reconcile only in these namespaces          (all)
  --namespace NAME           namespace of the operator and of its Lease  (that of its ServiceAccount)
  --release NAME             with the namespace the name of this installation, on all that
                             it makes: another installation leaves that alone
                             (mailrelay-operator)
  --lease NAME               name of its Lease                           (that of the release)
  --class-name NAME          looks after MailRelays with this spec.className (mailrelay)
  --no-default-class         and not after those without one
  --kubeconfig FILE          how to reach the API server                 (the ServiceAccount)
  --health-port N            port of /healthz, /readyz and /metrics      (8080)
  --workers N                MailRelays worked on at the same time       (8)
  --rolling-relays N         relays whose pods are replaced at a time    (5)
  --no-leader-election       for a single replica that is run by hand
`;

export interface Settings {
  readonly render: Omit<RenderSettings, 'operatorNamespace'>;
  readonly namespaces: readonly string[] | undefined;
  readonly namespace: string | undefined;
  readonly release: string;
  readonly leaseName: string;
  readonly className: string;
  readonly defaultClass: boolean;
  readonly kubeconfig: string | undefined;
  readonly healthPort: number;
  readonly workers: number;
  readonly rollingRelays: number;
  readonly leaderElection: boolean;
  /** The name of this process in the Lease and in events. */
  readonly identity: string;
}

export type Parsed =
  | { kind: 'settings'; settings: Settings }
  | { kind: 'help' }
  | { kind: 'usage'; message: string };

const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'];

export function parseSettings(argv: readonly string[], env: NodeJS.ProcessEnv): Parsed {
  let values: Values;
  try {
    values = parse(argv);
  } catch (error) {
    return usage(`${(error as Error).message.split('. ')[0]}: see "mailrelay operator --help"`);
  }
  if (values.help) return { kind: 'help' };
  const fault = findFault(values, env);
  return fault === undefined ? { kind: 'settings', settings: readSettings(values, env) } : usage(fault);
}

/** A sentence about the first unusable value. */
function findFault(values: Values, env: NodeJS.ProcessEnv): string | undefined {
  const oneOf = (option: 'relay-image-pull-policy' | 'user-ids', known: readonly string[]) =>
    known.includes(values[option])
      ? undefined
      : `--${option} must be one of ${known.join(', ')}, not "${values[option]}"`;
  const between = (option: 'health-port' | 'workers' | 'rolling-relays', most: number, bounds: string) =>
    Number(values[option]) >= 1 && Number(values[option]) <= most
      ? undefined
      : `--${option} must be ${bounds}, not "${values[option]}"`;
  return (
    (findRelayImage(values, env) ? undefined : 'Name the image of the relay pods: --relay-image IMAGE') ??
    oneOf('relay-image-pull-policy', PULL_POLICIES) ??
    oneOf('user-ids', USER_IDS) ??
    between('health-port', 65_535, 'a port') ??
    between('workers', 100, 'from 1 to 100') ??
    between('rolling-relays', Number.POSITIVE_INFINITY, '1 or more')
  );
}

function findRelayImage(values: Values, env: NodeJS.ProcessEnv): string | undefined {
  return values['relay-image'] ?? env['RELAY_IMAGE'];
}

/** Reads values that have no fault. */
function readSettings(values: Values, env: NodeJS.ProcessEnv): Settings {
  const namespaces = splitList(values.namespaces);
  return {
    render: {
      relayImage: findRelayImage(values, env) ?? '',
      imagePullPolicy: values['relay-image-pull-policy'],
      imagePullSecrets: splitList(values['image-pull-secrets']),
      userIDs: USER_IDS.find((known) => known === values['user-ids']) ?? 'Fixed',
    },
    namespaces: namespaces.length > 0 ? namespaces : undefined,
    namespace: values.namespace,
    release: values.release,
    leaseName: values.lease ?? values.release,
    className: values['class-name'],
    defaultClass: !values['no-default-class'],
    kubeconfig: values.kubeconfig,
    healthPort: Number(values['health-port']),
    workers: Number(values.workers),
    rollingRelays: Number(values['rolling-relays']),
    leaderElection: !values['no-leader-election'],
    identity: env['POD_NAME'] ?? `${hostname()}-${process.pid}`,
  };
}

type Values = ReturnType<typeof parse>;

function parse(argv: readonly string[]) {
  return parseArgs({
    args: [...argv],
    options: {
      'relay-image': { type: 'string' },
      'relay-image-pull-policy': { type: 'string', default: 'IfNotPresent' },
      'image-pull-secrets': { type: 'string', default: '' },
      'user-ids': { type: 'string', default: 'Fixed' },
      namespaces: { type: 'string', default: '' },
      namespace: { type: 'string' },
      release: { type: 'string', default: LEASE_NAME },
      lease: { type: 'string' },
      'class-name': { type: 'string', default: 'mailrelay' },
      'no-default-class': { type: 'boolean', default: false },
      kubeconfig: { type: 'string' },
      'health-port': { type: 'string', default: '8080' },
      workers: { type: 'string', default: '8' },
      'rolling-relays': { type: 'string', default: '5' },
      'no-leader-election': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  }).values;
}

function usage(message: string): Parsed {
  return { kind: 'usage', message };
}

function splitList(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean);
}
