/**
 * `kubectl mailrelay report`: a folder for support: the MailRelay, its objects, events, the status and the log of each
 * pod. Secrets are not read. Addresses are replaced: each by the same word wherever it stands.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { describeSystemError } from '#crds/systemwords.ts';
import { isKubeError } from '#operator/kube/errors.ts';
import { CLAIM, type Kind, MAIL_RELAY, OWNED, POD } from '#operator/kube/kinds.ts';
import type { Cluster } from './cluster.ts';
import { describeEvents, listEvents } from './events.ts';

const LOG_LINES = '5000';
const LOG_MS = 20_000;

export async function writeReport(cluster: Cluster, relay: string, folder: string): Promise<number> {
  const redact = makeRedaction();
  makeNew(folder);
  const keep = (name: string, text: string) => {
    writeFileSync(join(folder, name), redact(text), { mode: 0o600 });
    process.stdout.write(`${join(folder, name)}\n`);
  };
  keep('mailrelay.yaml', stringify(await cluster.readRelay(relay)));
  keep('objects.yaml', await gatherObjects(cluster, relay));
  keep('events.txt', describeEvents(await listEvents(cluster, relay), Date.now()));
  for (const { metadata, status } of await cluster.listPods(relay)) {
    if (status?.phase !== 'Running') continue;
    const { out } = await cluster.run(metadata.name, ['status', '-o', 'json']);
    keep(`${metadata.name}.status.json`, out);
    keep(`${metadata.name}.log`, await readLog(cluster, metadata.name));
  }
  process.stdout.write(
    'Addresses are replaced; host names, networks and TLS names are not. Look before you send it.\n',
  );
  return 0;
}

function makeNew(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    throw new Error(`Cannot make "${folder}": ${describeSystemError(error)}; name another folder by --to`);
  }
}

async function gatherObjects(cluster: Cluster, relay: string): Promise<string> {
  const kinds: readonly Kind[] = [...OWNED, POD, CLAIM].filter((kind) => kind !== MAIL_RELAY);
  const texts = await Promise.all(
    kinds.map(async (kind) => {
      try {
        const objects = await cluster.listOwn(kind, relay);
        return objects.map(({ metadata, ...rest }) => {
          const { managedFields: _, ...own } = metadata as typeof metadata & { managedFields?: unknown };
          return stringify({ apiVersion: kind.apiVersion, kind: kind.kind, metadata: own, ...rest });
        });
      } catch (error) {
        if (isKubeError(error, 'notFound', 'forbidden')) return [`# ${kind.plural}: ${error.message}\n`];
        throw error;
      }
    }),
  );
  return texts.flat().join('---\n');
}

async function readLog(cluster: Cluster, pod: string): Promise<string> {
  const lines: string[] = [];
  for await (const line of cluster.log(pod, { tailLines: LOG_LINES }, AbortSignal.timeout(LOG_MS)))
    lines.push(line);
  return `${lines.join('\n')}\n`;
}

/** Replaces local parts of mail addresses by a hash with a key that nobody keeps. Domains stay. */
export function makeRedaction(key: Buffer = randomBytes(32)): (text: string) => string {
  const hash = (local: string) => createHash('sha256').update(key).update(local).digest('hex').slice(0, 12);
  return (text) =>
    text.replace(
      /("[^"\n@]+"|[\p{L}\p{N}!#$%&'*+/=?^_`{|}~.-]+)@(?=[\p{L}\p{N}[])/gu,
      (_, local: string) => `${hash(local)}@`,
    );
}
