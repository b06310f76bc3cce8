/** A real OpenSMTPD without TLS on both sides, because STARTTLS does not work in Debian's build with OpenSSL 3. */
import { Layer } from './layer.ts';
import { type Peer, type PeerOptions, storedMessage } from './peer.ts';

const MAIL = '/var/mail/stored';

export async function startOpenSmtpd(options: PeerOptions): Promise<Peer> {
  const layer = await Layer.start({
    name: 'opensmtpd',
    port: options.port,
    command: ['/usr/sbin/smtpd', '-d'],
    files: { '/etc/smtpd.conf': configuration(options) },
    users: {
      opensmtpd: ['/var/lib/opensmtpd/empty'],
      opensmtpq: [],
      stored: [MAIL],
    },
  });
  return { message: (id) => storedMessage(layer.path(MAIL), id), stop: () => layer.stop() };
}

function configuration({ port, domain, relay }: PeerOptions): string {
  return `listen on 127.0.0.1 port ${port} hostname ${domain}
table everybody { "@" = stored }
action "store" maildir "${MAIL}" virtual <everybody>
action "relay" relay host "smtp+notls://127.0.0.1:${relay.port}"
match from any for domain "${domain}" action "store"
match from any for any action "relay"
`;
}
