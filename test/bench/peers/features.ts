/**
 * Our relay with what costs most of all that may be switched on: a map of 100,000 recipients, a history of deliveries,
 * and a webhook that takes every event.
 */
import { join } from 'node:path';
import { publishFolder } from '#cli/inputfolder.ts';
import { projectVersion } from '#cli/version.ts';
import type { MailRelaySpec } from '#crds/mailrelay.ts';
import { makeAuthority } from '#test/kit/ca.ts';
import { Webhook } from '#test/kit/webhook.ts';
import type { Peer, Running, Setting } from '../peer.ts';
import { RunningRelay } from './relay.ts';

const SECRET = `whsec_${Buffer.alloc(24, 'bench').toString('base64')}`;
/** Five ConfigMaps of 20,000 entries each, below 1 MiB. */
const [TABLES, ENTRIES] = [5, 20_000];
const TABLE_NAMES = Array.from({ length: TABLES }, (_, index) => `recipients-${index}`);

export const features: Peer = {
  name: 'features',
  problem: () => undefined,
  version: () => `features ${projectVersion()}: ${TABLES * ENTRIES} recipients in a map, history, webhook`,
  start,
};

async function start(setting: Setting): Promise<Running> {
  const authority = await makeAuthority();
  const webhook = await Webhook.start(await authority.issue(['localhost']), SECRET);
  publishObjects(setting, authority.cert);
  const relay = await RunningRelay.start(setting, { extend: (spec) => extend(spec, webhook.port) });
  return {
    pid: relay.pid,
    syncs: () => relay.syncs(),
    stop: async () => {
      await relay.stop();
      await webhook.stop();
      if (webhook.events.length === 0) throw new Error('The webhook was told nothing');
    },
  };
}

function extend(spec: MailRelaySpec, webhookPort: number): MailRelaySpec {
  const tables = TABLE_NAMES.map((configMapName) => ({ configMapName, key: 'virtual' }));
  return {
    ...spec,
    addresses: { recipient: { tables } },
    queue: { ...spec.queue, history: '7d' },
    events: {
      webhook: {
        url: `https://localhost:${webhookPort}/`,
        secretName: 'hook',
        trustConfigMapName: 'hook-ca',
      },
    },
  };
}

function publishObjects({ dir }: Setting, authority: string): void {
  publishFolder(join(dir, 'secrets', 'hook'), { secret: SECRET });
  publishFolder(join(dir, 'configmaps', 'hook-ca'), { 'ca.crt': authority });
  for (const [index, name] of TABLE_NAMES.entries()) {
    const rows = Array.from({ length: ENTRIES }, (_, row) => {
      const number = index * ENTRIES + row;
      return `u${number}@map.example v${number}@map.example\n`;
    });
    publishFolder(join(dir, 'configmaps', name), { virtual: rows.join('') });
  }
}
