/**
 * `mailrelay relay`: runs the relay of a pod, on the paths that the operator mounts. At SIGTERM it drains and exits
 * with 0; a second SIGTERM ends it at once.
 */
import { setFlagsFromString } from 'node:v8';
import type { PodIdentity } from '#crds/podstatus.ts';
import { HANDOVER_PORT } from '#crds/wellknown.ts';
import { jsonLog } from '#relay/observe/log.ts';
import { listenerProcesses } from '#relay/supervisor/cpus.ts';
import { startRelay } from '#relay/supervisor/relay.ts';
import { untilStopSignal } from './signals.ts';
import { projectVersion } from './version.ts';

/**
 * Keeps the nursery of V8 at its first size, as in the task processes (process.ts). V8 collects dead objects when the
 * nursery is full. With a long queue, messages between the tasks made it grow by 40 MiB.
 */
const SMALL_NURSERY = '--semi-space-growth-factor=1';

interface RelayOptions {
  readonly policy: string;
  readonly certificate: string;
  readonly nextCertificate: string;
  readonly secrets: string;
  readonly configmaps: string;
  readonly state: string;
  readonly listen: string;
  readonly adminPort: number;
  readonly podName?: string;
  readonly processes?: number;
  readonly grace: number;
  readonly drain: number;
}

export async function relay(options: RelayOptions): Promise<number> {
  const { policy, certificate, secrets, configmaps, state, listen, adminPort, podName } = options;
  setFlagsFromString(SMALL_NURSERY);
  const started = await startRelay({
    policyDir: policy,
    certificateDir: certificate,
    nextCertificateDir: options.nextCertificate,
    secretsDir: secrets,
    configMapsDir: configmaps,
    stateDir: state,
    address: listen,
    adminAddress: listen,
    adminPort,
    processes: options.processes ?? listenerProcesses(),
    ...(podName === undefined ? {} : { among: { podName, port: HANDOVER_PORT } }),
    version: projectVersion(),
    ...readIdentity(process.env),
    log: jsonLog('supervisor', 1, Date.now),
    logFd: 1,
    graceMs: options.grace * 1000,
    drainMs: options.drain * 1000,
  });
  await untilStopSignal();
  await started.stop();
  return 0;
}

/** The identity that the operator wrote into the environment of the pod. Outside a pod there is none. */
function readIdentity(env: NodeJS.ProcessEnv): { identity?: PodIdentity } {
  const { POD_NAME: pod, POD_UID: uid, POD_NAMESPACE: namespace, RELAY_NAME: name } = env;
  if (!pod || !uid || !namespace || !name) return {};
  return { identity: { pod, uid, namespace, relay: name } };
}
