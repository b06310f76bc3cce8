/**
 * The settings of the operator, from the options of its command. Pure.
 */
import type { UserIDs } from '#crds/workload.ts';
import type { RenderSettings } from './render/index.ts';

/** The options as the command reads them (cli/verbs/operator.ts). */
export interface OperatorOptions {
  readonly relayImage: string;
  readonly relayImagePullPolicy: string;
  readonly imagePullSecrets: readonly string[];
  readonly userIds: UserIDs;
  /** Empty: all namespaces. */
  readonly namespaces: readonly string[];
  readonly namespace?: string;
  readonly release: string;
  readonly lease?: string;
  readonly className: string;
  readonly defaultClass: boolean;
  readonly kubeconfig?: string;
  readonly healthPort: number;
  readonly workers: number;
  readonly rollingRelays: number;
  readonly leaderElection: boolean;
}

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

export function readSettings(options: OperatorOptions, identity: string): Settings {
  const { namespaces, namespace, release, lease = release, className, defaultClass } = options;
  const { kubeconfig, healthPort, workers, rollingRelays, leaderElection } = options;
  return {
    render: {
      relayImage: options.relayImage,
      imagePullPolicy: options.relayImagePullPolicy,
      imagePullSecrets: options.imagePullSecrets,
      userIDs: options.userIds,
    },
    namespaces: namespaces.length > 0 ? namespaces : undefined,
    namespace,
    release,
    leaseName: lease,
    className,
    defaultClass,
    kubeconfig,
    healthPort,
    workers,
    rollingRelays,
    leaderElection,
    identity,
  };
}
