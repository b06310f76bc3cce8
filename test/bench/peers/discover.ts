/**
 * Our relay with DANE and MTA-STS looked up. The next hop has a name, which a resolver proves, and its TLSA record, which
 * the relay verifies each connection by.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectVersion } from '#cli/version.ts';
import type { MailRelaySpec } from '#crds/mailrelay.ts';
import { NameServer } from '#test/kit/nameserver.ts';
import { freePort } from '#test/kit/ports.ts';
import type { Peer, Running, Setting } from '../peer.ts';
import { RunningRelay } from './relay.ts';

/** A host of the manifest is looked up by the machine: by a file of hosts that the relay alone sees. */
const HOST = 'sink.bench.example';
const WITH_HOSTS = ['unshare', '--mount', 'sh', '-ec', 'mount --bind "$0" /etc/hosts; exec "$@"'];

export const discover: Peer = {
  name: 'discover',
  problem: () => undefined,
  version: () => `discover ${projectVersion()}: DANE and MTA-STS, a next hop by name with a TLSA record`,
  start,
};

async function start(setting: Setting): Promise<Running> {
  const { port, names } = await serveNames(setting);
  const extend = (spec: MailRelaySpec): MailRelaySpec => ({
    ...spec,
    outbound: {
      ...spec.outbound,
      tls: { ...spec.outbound?.tls, level: 'Dane', discover: ['DANE', 'MTASTS'] },
      resolver: { addresses: [`127.0.0.1:${port}`], trustAD: true },
      smartHosts: [{ host: HOST, port: setting.sinkPort }],
    },
  });
  const hosts = join(setting.dir, 'hosts');
  writeFileSync(hosts, `127.0.0.1 localhost ${HOST}\n`);
  const relay = await RunningRelay.start(setting, { extend, through: [...WITH_HOSTS, hosts] });
  return {
    pid: relay.pid,
    syncs: () => relay.syncs(),
    stop: async () => {
      const { outbound } = await relay.status();
      await relay.stop();
      names.stop();
      if (!outbound?.verifiedBy.some(({ value }) => value === 'DANE'))
        throw new Error('DANE has proven nothing');
    },
  };
}

async function serveNames({ pair, sinkPort }: Setting) {
  const key = new X509Certificate(pair.cert).publicKey.export({ type: 'spki', format: 'der' });
  const digest = createHash('sha256').update(key).digest();
  const port = await freePort();
  const names = await NameServer.start(
    {
      [HOST]: { A: ['127.0.0.1'], isSigned: true, ttl: 3_600 },
      [`_${sinkPort}._tcp.${HOST}`]: { TLSA: [digest], isSigned: true, ttl: 3_600 },
    },
    port,
  );
  return { port, names };
}
