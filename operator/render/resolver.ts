/**
 * The validating resolver (Unbound) of outbound.resolver.sidecar: a native sidecar, that is an init container which goes
 * on running. So it answers before the relay starts, and the kubelet ends it after the relay: the deliveries of a drain
 * still find their hosts. Only the relay reaches it, on the loopback. It has a folder of its own on the volume of the
 * pod, and sees no mail. While it does not answer, mail waits. Pure.
 */
import type { MailRelay } from '#crds/mailrelay.ts';
import { SIDECAR_REQUESTS, type Sidecar } from '#crds/resolver.ts';
import { parseSize } from '#crds/units.ts';
import { POD_PATHS, SIDECAR_CONTAINER, SIDECAR_SERVER } from '#crds/wellknown.ts';
import { RESTRICTED, renderResources } from './container.ts';
import { objectNames } from './metadata.ts';
import type { RenderSettings } from './rendered.ts';

export const RESOLVER_FILE_NAME = 'unbound.conf';
const CONFIG_PATH = `${POD_PATHS.resolver}/${RESOLVER_FILE_NAME}`;
const VOLUME = 'resolver';
const ANCHOR = 'root.key';
/** Where the packages of Debian and Alpine, and common images, have the trust anchor of the root. */
const IMAGE_ANCHORS = [
  '/usr/share/dns/root.key',
  '/usr/share/dnssec-root/trusted-key.key',
  '/etc/unbound/root.key',
  '/opt/unbound/etc/unbound/var/root.key',
  '/var/lib/unbound/root.key',
];
/**
 * The anchor of the image is the first one. Unbound keeps it up to date on the volume (RFC 5011). An image that is newer
 * than that file knows more: the pod may have been away while the root changed its key.
 */
const START = `cd ${POD_PATHS.resolverState}
for key in ${IMAGE_ANCHORS.join(' ')}; do
  [ ! -s $key ] || break
done
[ -s $key ] || { echo "the image has no trust anchor of the root: put it at ${IMAGE_ANCHORS[0]}" >&2; exit 1; }
if [ ! -s ${ANCHOR} ] || [ $key -nt ${ANCHOR} ]; then
  cp -f $key ${ANCHOR}.new
  mv -f ${ANCHOR}.new ${ANCHOR}
fi
exec unbound -d -c ${CONFIG_PATH}
`;

const MIB = 2 ** 20;
/** Memory of Unbound without caches, and the limit that the caches are made for where there is none. */
const BARE_BYTES = 32 * MIB;
const USUAL_LIMIT_BYTES = 128 * MIB;
/** Unbound takes up to two and a half times the size of its caches. */
const CACHE_SHARE = 0.4;

export function renderSidecar(sidecar: Sidecar, settings: RenderSettings) {
  // The kubelet cannot reach the loopback of a pod, and a question to the DNS would depend on others.
  const exec = { command: ['unbound-control', '-c', CONFIG_PATH, 'status'] };
  return {
    name: SIDECAR_CONTAINER,
    image: sidecar.image,
    imagePullPolicy: settings.imagePullPolicy,
    restartPolicy: 'Always',
    terminationMessagePolicy: 'FallbackToLogsOnError',
    command: ['sh', '-ceu', START],
    securityContext: RESTRICTED,
    resources: renderResources(sidecar.resources, SIDECAR_REQUESTS),
    startupProbe: { exec, periodSeconds: 1, timeoutSeconds: 5, failureThreshold: 60 },
    livenessProbe: { exec, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 },
    volumeMounts: [
      { name: VOLUME, mountPath: POD_PATHS.resolver, readOnly: true },
      { name: 'spool', mountPath: POD_PATHS.resolverState, subPath: 'resolver' },
    ],
  };
}

export function renderSidecarVolume({ metadata }: MailRelay) {
  const items = [{ key: RESOLVER_FILE_NAME, path: RESOLVER_FILE_NAME }];
  return { name: VOLUME, configMap: { name: objectNames.policy(metadata.name), items } };
}

/** The file of the ConfigMap, by name. */
export function renderSidecarConfig({ spec }: MailRelay): Record<string, string> {
  const sidecar = spec.outbound?.resolver?.sidecar;
  return sidecar ? { [RESOLVER_FILE_NAME]: unboundConf(sidecar) } : {};
}

/** Everything that is not said is the default of Unbound. */
function unboundConf({ resources }: Sidecar): string {
  const { address, port } = SIDECAR_SERVER;
  const cache = cacheBytes(resources?.limits?.memory);
  return `server:
  interface: ${address}@${port}
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "${POD_PATHS.resolverState}"
  pidfile: ""
  use-syslog: no
  logfile: ""
  num-threads: 1
  module-config: "validator iterator"
  auto-trust-anchor-file: "${POD_PATHS.resolverState}/${ANCHOR}"
  rrset-cache-size: ${cache / 2}
  msg-cache-size: ${cache / 4}
  key-cache-size: ${cache / 8}
  neg-cache-size: ${cache / 8}
  prefetch: yes
  prefetch-key: yes
  qname-minimisation: yes
  aggressive-nsec: yes
  hide-identity: yes
  hide-version: yes
  hide-trustanchor: yes
remote-control:
  control-enable: yes
  control-interface: "${POD_PATHS.resolverState}/control.sock"
  control-use-cert: no
`;
}

/** Of all caches together, in whole MiB. */
function cacheBytes(limit: string | undefined): number {
  const bytes = (limit === undefined ? undefined : parseSize(limit)) ?? USUAL_LIMIT_BYTES;
  return Math.max(1, Math.floor(((bytes - BARE_BYTES) * CACHE_SHARE) / MIB)) * MIB;
}
