/**
 * `mailrelay relay`: runs the relay of a pod, on the paths that the operator mounts. At SIGTERM it drains and exits
 * with 0; a second SIGTERM ends it at once.
 */
import { setFlagsFromString } from 'node:v8';
import type { PodIdentity } from '#crds/podstatus.ts';
import { ADMIN_PORT, HANDOVER_PORT, POD_PATHS } from '#crds/wellknown.ts';
import { jsonLog } from '#relay/observe/log.ts';
import { listenerProcesses } from '#relay/supervisor/cpus.ts';
import { type Relay, startRelay } from '#relay/supervisor/relay.ts';
import { options, portOption } from './usage.ts';
import { projectVersion } from './version.ts';

/**
 * Keeps the nursery of V8 at its first size, as in the task processes (process.ts). V8 collects dead objects when the
 * nursery is full. With a long queue, messages between the tasks made it grow by 40 MiB.
 */
const SMALL_NURSERY = '--semi-space-growth-factor=1';

const HELP = `Usage: mailrelay relay [options]

The relay of a pod. Reads the policy, the certificate, and the Secrets and ConfigMaps that the policy names from
folders, and applies their changes.

  --policy DIR        folder of the policy file        (${POD_PATHS.policy})
  --certificate DIR   folder of tls.crt and tls.key    (${POD_PATHS.certificate})
  --secrets DIR       a folder in it for each Secret    (${POD_PATHS.secrets})
  --configmaps DIR    a folder in it for each ConfigMap (${POD_PATHS.configMaps})
  --state DIR         folder of the queue              (${POD_PATHS.state})
  --listen ADDRESS    address of the listeners         (::, both families)
  --admin-port N      port of health and metrics       (${ADMIN_PORT})
  --pod-name NAME     name of the pod, by which it knows whether it is still wanted   (env POD_NAME)
  --processes N       listener processes               (the CPU limit in whole cores but one; 4 at most without a limit)
  --grace SECONDS     how long new connections are taken after SIGTERM (10)
  --drain SECONDS     how long open sessions may go on after that      (300)
`;

export async function relay(argv: string[]): Promise<number> {
  const parsed = options(
    argv,
    {
      policy: { type: 'string', default: POD_PATHS.policy },
      certificate: { type: 'string', default: POD_PATHS.certificate },
      secrets: { type: 'string', default: POD_PATHS.secrets },
      configmaps: { type: 'string', default: POD_PATHS.configMaps },
      state: { type: 'string', default: POD_PATHS.state },
      listen: { type: 'string', default: '::' },
      'admin-port': { type: 'string', default: String(ADMIN_PORT) },
      'pod-name': { type: 'string' },
      processes: { type: 'string' },
      grace: { type: 'string', default: '10' },
      drain: { type: 'string', default: '300' },
    },
    HELP,
  );
  if (!parsed) return 0;
  setFlagsFromString(SMALL_NURSERY);
  const { values } = parsed;
  const podName = values['pod-name'] ?? process.env['POD_NAME'];
  const started = await startRelay({
    policyDir: values.policy,
    certificateDir: values.certificate,
    secretsDir: values.secrets,
    configMapsDir: values.configmaps,
    stateDir: values.state,
    address: values.listen,
    adminAddress: values.listen,
    adminPort: portOption('admin-port', values['admin-port']),
    processes: values.processes === undefined ? listenerProcesses() : Number(values.processes),
    ...(podName === undefined ? {} : { among: { podName, port: HANDOVER_PORT } }),
    version: projectVersion(),
    ...readIdentity(process.env),
    log: jsonLog('supervisor', 1, Date.now),
    logFd: 1,
    graceMs: Number(values.grace) * 1000,
    drainMs: Number(values.drain) * 1000,
  });
  await untilStopped(started);
  return 0;
}

/** The identity that the operator wrote into the environment of the pod. Outside a pod there is none. */
function readIdentity(env: NodeJS.ProcessEnv): { identity?: PodIdentity } {
  const { POD_NAME: pod, POD_UID: uid, POD_NAMESPACE: namespace, RELAY_NAME: name } = env;
  if (!pod || !uid || !namespace || !name) return {};
  return { identity: { pod, uid, namespace, relay: name } };
}

/** Resolves when the relay has drained after a signal. */
export async function untilStopped(started: Relay): Promise<void> {
  await new Promise<void>((resolve) => {
    let asked = false;
    const stop = () => {
      if (asked) process.exit(1);
      asked = true;
      started.stop().then(resolve);
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
  });
}
