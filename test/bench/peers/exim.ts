/**
 * Exim of the distribution (GnuTLS) as a relay, on request: durable as shipped, a delivery process for each message as it
 * comes in, no limits per client. Its spool is on the disk that all peers use; its log lines go there too.
 */
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { versionOf } from '#test/kit/debian.ts';
import { Layer, layerProblem } from '#test/kit/layer.ts';
import type { Peer, Running, Setting } from '../peer.ts';

const PACKAGE = 'exim4-daemon-light';

export const exim: Peer = {
  name: 'exim',
  problem: layerProblem,
  version: () => `Exim ${versionOf(PACKAGE)}`,
  start: startExim,
};

async function startExim(setting: Setting): Promise<Running> {
  const { dir, port, pair } = setting;
  const spool = join(dir, 'exim');
  mkdirSync(spool);
  chmodSync(dir, 0o755);
  const layer = await Layer.start({
    name: PACKAGE,
    port,
    command: ['/usr/sbin/exim4', '-bdf', '-q5s'],
    files: {
      '/etc/exim4/exim4.conf': configuration(setting, spool),
      '/etc/exim4/pair.pem': `${pair.key}${pair.cert}`,
    },
    users: { 'Debian-exim': ['/var/spool/exim4', '/var/log/exim4', '/run/exim4', spool] },
    shared: [spool],
    isContained: true,
  });
  return { pid: layer.pid, stop: () => layer.stop() };
}

function configuration({ port, sinkPort, tls }: Setting, spool: string): string {
  return `primary_hostname = relay.bench.example
daemon_smtp_ports = ${port}
local_interfaces = 127.0.0.1
spool_directory = ${spool}
log_file_path = ${spool}/%slog
keep_environment =
acl_smtp_rcpt = accept
acl_smtp_data = accept
host_lookup =
rfc1413_hosts =
smtp_accept_max = 200
smtp_accept_queue_per_connection = 0
smtp_connect_backlog = 200
message_size_limit = 50M
${tls ? 'tls_advertise_hosts = *' : 'tls_advertise_hosts ='}
tls_certificate = /etc/exim4/pair.pem

begin routers
all:
  driver = manualroute
  route_list = * 127.0.0.1::${sinkPort} byname
  self = send
  transport = next

begin transports
next:
  driver = smtp
  ${tls ? 'hosts_require_tls = *' : 'hosts_avoid_tls = *'}
  tls_verify_certificates =
  tls_verify_hosts =
  tls_try_verify_hosts =
  hosts_try_dane =

begin retry
* * F,1h,5s
`;
}
