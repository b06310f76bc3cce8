/** A real Exim, which speaks TLS by GnuTLS. */
import { Layer } from './layer.ts';
import { type Peer, type PeerOptions, storedMessage } from './peer.ts';

const MAIL = '/var/mail/stored';

export interface EximOptions extends PeerOptions {
  /** TLS versions and ciphers of the server, in the notation of GnuTLS. Default: those of Exim. */
  readonly priorities?: string;
}

export async function startExim(options: EximOptions): Promise<Peer> {
  const layer = await Layer.start({
    name: 'exim4-daemon-light',
    port: options.port,
    command: ['/usr/sbin/exim4', '-bdf', '-q1s'],
    files: {
      '/etc/exim4/exim4.conf': configuration(options),
      '/etc/exim4/pair.pem': `${options.pair.key}${options.pair.cert}`,
      '/etc/exim4/ca.pem': options.relay.ca,
    },
    users: { 'Debian-exim': ['/var/spool/exim4', '/var/log/exim4', '/run/exim4', MAIL] },
  });
  return { message: (id) => storedMessage(layer.path(MAIL), id), stop: () => layer.stop() };
}

function configuration({ port, domain, relay, priorities }: EximOptions): string {
  return `primary_hostname = ${domain}
daemon_smtp_ports = ${port}
local_interfaces = 127.0.0.1
keep_environment =
acl_smtp_rcpt = accept
tls_advertise_hosts = *
tls_certificate = /etc/exim4/pair.pem
${priorities === undefined ? '' : `tls_require_ciphers = ${priorities}\n`}
begin routers
stored:
  driver = accept
  domains = ${domain} : *.${domain}
  transport = maildir
others:
  driver = manualroute
  route_list = * localhost::${relay.port} byname
  self = send
  transport = relay

begin transports
maildir:
  driver = appendfile
  directory = ${MAIL}
  maildir_format
  user = Debian-exim
relay:
  driver = smtp
  hosts_require_tls = *
  tls_verify_certificates = /etc/exim4/ca.pem
  tls_verify_hosts = *

begin retry
* * F,1h,1s
`;
}
