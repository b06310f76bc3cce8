/** Haraka of package-lock.json, on the same Node as our relay: a process for each core, queue on disk, TLS and relaying only. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import type { Peer, Running, Setting } from '../peer.ts';

const FFDHE2048 = ['genpkey', '-genparam', '-algorithm', 'DH', '-pkeyopt', 'group:ffdhe2048'];
const PACKAGE = new URL('../../../node_modules/Haraka/', import.meta.url).pathname;

export const haraka: Peer = {
  name: 'haraka',
  problem: () => undefined,
  version: () => {
    const { version } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8')) as {
      version: string;
    };
    return `Haraka ${version}, Node ${process.version}`;
  },
  start: startHaraka,
};

async function startHaraka({ dir, port, sinkPort, pair, tls }: Setting): Promise<Running> {
  const home = join(dir, 'haraka');
  for (const name of ['config', 'queue', 'plugins']) mkdirSync(join(home, name), { recursive: true });
  const files: Readonly<Record<string, string>> = {
    me: 'relay.bench.example\n',
    host_list: '',
    plugins: tls ? 'tls\nrelay\n' : 'relay\n',
    'smtp.ini': `listen=127.0.0.1:${port}\nnodes=${availableParallelism()}\n`,
    'relay.ini': '[relay]\nacl=true\nforce_routing=true\n',
    relay_acl_allow: '127.0.0.0/8\n',
    'relay_dest_domains.ini': `[domains]\ndest.example={"action":"continue","nexthop":"127.0.0.1:${sinkPort}"}\n`,
    'outbound.ini': `enable_tls=${tls}\nlocal_mx_ok=true\nconcurrency_max=50\ninet_prefer=v4\n`,
    // Without it a process is started that looks for primes for minutes. TLS 1.3 has no use for it.
    'dhparams.pem': execFileSync('openssl', FFDHE2048, { encoding: 'utf8' }),
    'tls_key.pem': pair.key,
    'tls_cert.pem': pair.cert,
    'tls.ini': 'rejectUnauthorized=false\n[redis]\ndisable_for_failed_hosts=false\n',
    'log.ini': '[main]\nlevel=warn\nformat=default\n',
    loglevel: 'WARN\n',
    'connection.ini': readFileSync(join(PACKAGE, 'config', 'connection.ini'), 'utf8').replace(
      /^;* *bytes *=.*/m,
      'bytes=52428800',
    ),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(home, 'config', name), text);
  const log = openSync(join(dir, 'haraka.log'), 'a');
  const child = spawn(process.execPath, [join(PACKAGE, 'bin', 'haraka'), '-c', home], {
    stdio: ['ignore', log, log],
  });
  await until('Haraka to listen', async () => {
    const client = await SmtpClient.connect(port);
    client.close();
    return true;
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    pid: child.pid ?? 0,
    stop: async () => {
      child.kill('SIGTERM');
      const giveUp = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await ended;
      clearTimeout(giveUp);
    },
  };
}
