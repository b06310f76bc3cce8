/** A real Dovecot as a mail store: LMTP with STARTTLS, a maildir for each user, and a user without any room. */
import type { Pair } from './ca.ts';
import { Layer } from './layer.ts';
import { storedMessage } from './peer.ts';

const MAIL = '/var/mail/stored';

export interface DovecotOptions {
  readonly port: number;
  readonly pair: Pair;
  /** Local parts that have a mailbox. */
  readonly users: readonly string[];
  /** Local parts whose mailbox has no room. */
  readonly full: readonly string[];
}

export interface Dovecot {
  /** Waits for the stored message of this user with this test id; its text with the header. */
  message(user: string, id: string): Promise<string>;
  stop(): Promise<void>;
}

export async function startDovecot(options: DovecotOptions): Promise<Dovecot> {
  const { port, pair, users, full } = options;
  const layer = await Layer.start({
    name: 'dovecot-lmtpd',
    port,
    command: ['/usr/sbin/dovecot', '-F', '-c', '/etc/dovecot/dovecot.conf'],
    files: {
      '/etc/dovecot/dovecot.conf': configuration(port),
      '/etc/dovecot/cert.pem': pair.cert,
      '/etc/dovecot/key.pem': pair.key,
      '/etc/dovecot/users': [
        ...users.map((user) => `${user}:::::/nowhere::\n`),
        ...full.map((user) => `${user}:::::/nowhere::userdb_quota_rule=*:bytes=1\n`),
      ].join(''),
    },
    users: { dovecot: [], dovenull: [], stored: [MAIL] },
  });
  return {
    message: (user, id) => storedMessage(layer.path(`${MAIL}/${user}`), id),
    stop: () => layer.stop(),
  };
}

function configuration(port: number): string {
  return `protocols = lmtp
log_path = /dev/stderr
ssl = yes
ssl_cert = </etc/dovecot/cert.pem
ssl_key = </etc/dovecot/key.pem
mail_location = maildir:${MAIL}/%n
mail_uid = stored
mail_gid = stored
mail_plugins = quota
plugin {
  quota = maildir:User quota
  quota_rule = *:storage=100M
}
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = passwd-file
  args = username_format=%n /etc/dovecot/users
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = ${port}
  }
}
`;
}
