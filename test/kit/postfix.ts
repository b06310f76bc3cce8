/**
 * A real Postfix as a next hop, with its own configuration, queue and port. It delivers all mail into one maildir,
 * which the test reads. It is installed from the distribution if it is missing and the machine allows it. It is ended
 * by the pid of its master process.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Pair } from './ca.ts';
import { installProblem } from './debian.ts';
import { messagesIn, type PeerOptions, storedMessage } from './peer.ts';
import { SmtpClient } from './smtpclient.ts';
import { until } from './wait.ts';

const COMMAND_MS = 120_000;
const GREETING_MS = 120_000;

export interface PostfixOptions {
  readonly address: string;
  readonly port: number;
  readonly pair?: Pair;
  /** The words of Postfix: may, encrypt. */
  readonly level?: 'none' | 'may' | 'encrypt';
  /** If set, Postfix stores only mail for `domain` and sends all other mail to this relay. Else it stores all mail. */
  readonly forwards?: Pick<PeerOptions, 'domain' | 'relay'>;
  /** It greets only after a PROXY header (smtpd_upstream_proxy_protocol). */
  readonly isProxied?: boolean;
  /** Further lines of main.cf. */
  readonly settings?: readonly string[];
}

/** Why Postfix cannot be used here, or undefined. */
export function postfixProblem(): string | undefined {
  if (process.getuid?.() !== 0) return 'Postfix needs root';
  return installProblem(() => existsSync('/usr/sbin/postfix'), 'postfix');
}

export class Postfix {
  readonly #dir: string;

  private constructor() {
    this.#dir = mkdtempSync(join(tmpdir(), 'mailrelay-postfix-'));
    chmodSync(this.#dir, 0o755);
  }

  static async start(options: PostfixOptions): Promise<Postfix> {
    const postfix = new Postfix();
    postfix.#configure(options);
    postfix.#postfix('start');
    try {
      await postfix.#greeting(options);
    } catch (error) {
      const log = postfix.log();
      postfix.stop();
      throw new Error(`${(error as Error).message}; its log: ${log}`);
    }
    return postfix;
  }

  /** The messages that have arrived, with their headers. */
  messages(): string[] {
    return messagesIn(this.#maildir);
  }

  /** Waits for the first message with this test id. */
  message(id: string, withinMs?: number): Promise<string> {
    return storedMessage(this.#maildir, id, withinMs);
  }

  /** What it has written into its log. */
  log(): string {
    const path = join(this.#dir, 'mail.log');
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }

  stop(): void {
    try {
      this.#postfix('stop');
    } catch (error) {
      // Else it has ended already.
      if ((error as NodeJS.ErrnoException).code === 'ETIMEDOUT') this.#killMaster();
    }
    rmSync(this.#dir, { recursive: true, force: true });
  }

  get #maildir(): string {
    return join(this.#dir, 'mail', 'all');
  }

  #configure({
    address,
    port,
    pair,
    level = pair ? 'may' : 'none',
    forwards,
    isProxied = false,
    settings = [],
  }: PostfixOptions): void {
    const path = (name: string) => join(this.#dir, name);
    for (const name of ['conf', 'queue', 'data', 'mail']) mkdirSync(path(name));
    run(['chown', 'postfix', path('data'), path('mail')]);
    const uid = run(['id', '-u', 'postfix']).trim();
    const gid = run(['id', '-g', 'postfix']).trim();
    const lines = `compatibility_level = 3.6
queue_directory = ${path('queue')}
data_directory = ${path('data')}
maillog_file = ${path('mail.log')}
maillog_file_prefixes = ${this.#dir}
myhostname = store.example.com
mydestination =
mynetworks = 0.0.0.0/0, [::]/0
inet_interfaces = ${address}
inet_protocols = ipv4
alias_maps =
smtpd_peername_lookup = no
smtpd_recipient_restrictions = permit_mynetworks
virtual_mailbox_domains = ${forwards?.domain ?? 'static:all'}
virtual_mailbox_maps = static:all/
virtual_mailbox_base = ${path('mail')}
virtual_minimum_uid = 1
virtual_uid_maps = static:${uid}
virtual_gid_maps = static:${gid}
smtpd_tls_security_level = ${level}
smtpd_tls_received_header = yes
smtpd_tls_loglevel = 1
${pair ? `smtpd_tls_chain_files = ${path('conf/pair.pem')}` : ''}
${forwards ? forwarding(forwards.relay.port, path('conf/ca.pem')) : ''}${isProxied ? 'smtpd_upstream_proxy_protocol = haproxy\n' : ''}${settings.join('\n')}
`;
    writeFileSync(path('conf/main.cf'), dropOverridden(lines));
    if (forwards) writeFileSync(path('conf/ca.pem'), forwards.relay.ca);
    if (pair) writeFileSync(path('conf/pair.pem'), `${pair.key}${pair.cert}`, { mode: 0o600 });
    writeFileSync(path('conf/master.cf'), masterConfiguration(address, port));
  }

  async #greeting({ address, port, isProxied }: PostfixOptions): Promise<void> {
    const client = await SmtpClient.connect(port, address);
    try {
      if (isProxied) client.write(`PROXY TCP4 ${address} ${address} 1 ${port}\r\n`);
      await until('Postfix to greet', () => client.unread.startsWith('220 '), GREETING_MS);
    } finally {
      client.close();
    }
  }

  #postfix(verb: string): void {
    run(['/usr/sbin/postfix', '-c', join(this.#dir, 'conf'), verb]);
  }

  /** With its process group, which has all its services. */
  #killMaster(): void {
    const pid = Number(readFileSync(join(this.#dir, 'queue/pid/master.pid'), 'utf8'));
    process.kill(-pid, 'SIGKILL');
  }
}

/**
 * The last line of each parameter. Of two lines each process warns when it begins, and ten such warnings fill the socket
 * of the log: the process that writes the log warns too, into that socket, and waits for itself for ever.
 */
function dropOverridden(lines: string): string {
  const byName = new Map(lines.split('\n').map((line) => [line.split('=')[0]?.trim(), line]));
  return [...byName.values(), ''].join('\n');
}

/** The settings to send mail to the relay, whose certificate must be verified. */
function forwarding(port: number, ca: string): string {
  return `relayhost = [localhost]:${port}
smtp_host_lookup = native
smtp_tls_security_level = secure
smtp_tls_secure_cert_match = hostname
smtp_tls_CAfile = ${ca}
`;
}

/** Only the services that take and store mail. Without chroot, so that no files must be copied. */
function masterConfiguration(address: string, port: number): string {
  const services = [
    `${address}:${port} inet n - n - - smtpd`,
    'pickup unix n - n 60 1 pickup',
    'cleanup unix n - n - 0 cleanup',
    'qmgr unix n - n 300 1 qmgr',
    'tlsmgr unix - - n 1000? 1 tlsmgr',
    'rewrite unix - - n - - trivial-rewrite',
    'bounce unix - - n - 0 bounce',
    'defer unix - - n - 0 bounce',
    'trace unix - - n - 0 bounce',
    'virtual unix - n n - - virtual',
    'smtp unix - - n - - smtp',
    'relay unix - - n - - smtp',
    'error unix - - n - - error',
    'retry unix - - n - - error',
    'anvil unix - - n - 1 anvil',
    'proxymap unix - - n - - proxymap',
    'scache unix - - n - 1 scache',
    'postlog unix-dgram n - n - 1 postlogd',
  ];
  return `${services.join('\n')}\n`;
}

function run([command = '', ...args]: readonly string[], withinMs = COMMAND_MS): string {
  return execFileSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: withinMs,
    killSignal: 'SIGKILL',
  });
}
