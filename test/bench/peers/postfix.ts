/**
 * Postfix of the distribution as a relay, an instance of its own: durable as shipped, tuned in good faith (connection reuse
 * on, no delays, no limits per client), one log line per message and more.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { postfixProblem } from '#test/kit/postfix.ts';
import { until } from '#test/kit/wait.ts';
import type { Peer, Running, Setting } from '../peer.ts';

export const postfix: Peer = {
  name: 'postfix',
  problem: postfixProblem,
  version: () => `Postfix ${run('postconf', '-d', '-h', 'mail_version').trim()}`,
  start: startPostfix,
};

async function startPostfix(setting: Setting): Promise<Running> {
  const { dir, port, pair } = setting;
  const path = (name: string) => join(dir, name);
  for (const name of ['conf', 'queue', 'data']) mkdirSync(path(name));
  chmodSync(dir, 0o755);
  run('chown', 'postfix', path('data'));
  writeFileSync(path('conf/pair.pem'), `${pair.key}${pair.cert}`, { mode: 0o600 });
  writeFileSync(path('conf/main.cf'), mainConfiguration(setting, path));
  writeFileSync(path('conf/master.cf'), masterConfiguration(port));
  run('postfix', '-c', path('conf'), 'start');
  const pidFile = path('queue/pid/master.pid');
  await until('Postfix to run', () => existsSync(pidFile));
  const pid = Number(readFileSync(pidFile, 'utf8'));
  return {
    pid,
    stop: async () => {
      run('postfix', '-c', path('conf'), 'stop');
      await until('Postfix to end', () => !existsSync(`/proc/${pid}`));
    },
  };
}

function mainConfiguration({ sinkPort, tls }: Setting, path: (name: string) => string): string {
  return `compatibility_level = 3.6
queue_directory = ${path('queue')}
data_directory = ${path('data')}
maillog_file = ${path('mail.log')}
maillog_file_prefixes = ${path('')}
myhostname = relay.bench.example
mydestination =
local_transport = error:no local
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:${sinkPort}
disable_dns_lookups = yes
smtp_host_lookup = native
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions =
smtpd_tls_security_level = ${tls ? 'may' : 'none'}
tls_preempt_cipherlist = yes
smtpd_tls_chain_files = ${path('conf/pair.pem')}
smtp_tls_security_level = ${tls ? 'encrypt' : 'none'}
smtpd_tls_session_cache_database = btree:${path('data')}/smtpd_scache
smtp_tls_session_cache_database = btree:${path('data')}/smtp_scache
smtp_tls_connection_reuse = yes
default_process_limit = 150
smtp_destination_concurrency_limit = 50
initial_destination_concurrency = 20
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
qmgr_message_active_limit = 60000
qmgr_message_recipient_limit = 60000
in_flow_delay = 0
message_size_limit = 52428800
mailbox_size_limit = 0
`;
}

function masterConfiguration(port: number): string {
  const services = [
    `127.0.0.1:${port} inet n - n - 150 smtpd`,
    'pickup unix n - n 60 1 pickup',
    'cleanup unix n - n - 0 cleanup',
    'qmgr unix n - n 300 1 qmgr',
    'tlsmgr unix - - n 1000? 1 tlsmgr',
    'tlsproxy unix - - n - 0 tlsproxy',
    'rewrite unix - - n - - trivial-rewrite',
    'bounce unix - - n - 0 bounce',
    'defer unix - - n - 0 bounce',
    'trace unix - - n - 0 bounce',
    'flush unix n - n 1000? 0 flush',
    'proxymap unix - - n - - proxymap',
    'smtp unix - - n - 100 smtp',
    'relay unix - - n - 100 smtp',
    'error unix - - n - - error',
    'retry unix - - n - - error',
    'scache unix - - n - 1 scache',
    'anvil unix - - n - 1 anvil',
    'postlog unix-dgram n - n - 1 postlogd',
  ];
  return `${services.join('\n')}\n`;
}

function run(command: string, ...args: readonly string[]): string {
  const path = `${process.env['PATH']}:/usr/sbin`;
  return execFileSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PATH: path },
  });
}
