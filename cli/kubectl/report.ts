/**
 * `kubectl mailrelay report`: a folder for support: the MailRelay, its objects, events, the status and the log of each
 * pod. Secrets are not read. Addresses are replaced: each by the same word wherever it stands. A part that cannot be had
 * takes nothing from the others: it is named, and the exit status is 1.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { describeSystemError } from '#crds/systemwords.ts';
import { isKubeError } from '#operator/kube/errors.ts';
import { CLAIM, type Kind, MAIL_RELAY, OWNED, POD } from '#operator/kube/kinds.ts';
import type { Cluster } from './cluster.ts';
import { describeEvents, listEvents } from './events.ts';

const LOG_LINES = '5000';
const LOG_MS = 20_000;
/** A local part may have a blank, and is found in one line. */
const UNFOLDED = { lineWidth: 0 } as const;

type Pods = Pick<Cluster, 'readRelay' | 'listOwn' | 'list' | 'listPods' | 'run' | 'log'>;

export async function writeReport(cluster: Pods, relay: string, folder: string): Promise<number> {
  const redact = makeRedaction();
  makeNew(folder);
  let missing = 0;
  const keep = async (name: string, gather: () => Promise<string>) => {
    const path = join(folder, name);
    try {
      writeFileSync(path, redact(await gather()), { mode: 0o600 });
      process.stdout.write(`${path}\n`);
    } catch (error) {
      missing += 1;
      process.stderr.write(`There is no ${path}: ${(error as Error).message}\n`);
    }
  };
  const own = await cluster.readRelay(relay).catch((error: Error) => {
    rmdirSync(folder);
    throw error;
  });
  await keep('mailrelay.yaml', async () => stringify(own, UNFOLDED));
  await keep('objects.yaml', () => gatherObjects(cluster, relay));
  await keep('events.txt', async () => describeEvents(await listEvents(cluster, relay), Date.now()));
  const pods = await cluster.listPods(relay).catch((error: Error) => {
    missing += 1;
    process.stderr.write(`There is nothing of the pods: ${error.message}\n`);
    return [];
  });
  for (const { metadata, status } of pods) {
    if (status?.phase !== 'Running') continue;
    await keep(`${metadata.name}.status.json`, () => readStatus(cluster, metadata.name));
    await keep(`${metadata.name}.log`, () => readLog(cluster, metadata.name));
  }
  process.stdout.write(
    'Addresses are replaced; host names, networks and TLS names are not. Look before you send it.\n',
  );
  return missing === 0 ? 0 : 1;
}

/** Also that of a relay that is not ready, for which the command ends with 1. */
async function readStatus(cluster: Pods, pod: string): Promise<string> {
  const { out, errors } = await cluster.run(pod, ['status', '-o', 'json']);
  if (out === '') throw new Error(errors.trimEnd());
  return out;
}

function makeNew(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    throw new Error(`Cannot make "${folder}": ${describeSystemError(error)}; name another folder by --to`);
  }
}

async function gatherObjects(cluster: Pods, relay: string): Promise<string> {
  const kinds: readonly Kind[] = [...OWNED, POD, CLAIM].filter((kind) => kind !== MAIL_RELAY);
  const texts = await Promise.all(
    kinds.map(async (kind) => {
      try {
        const objects = await cluster.listOwn(kind, relay);
        return objects.map(({ metadata, ...rest }) => {
          const { managedFields: _, ...own } = metadata as typeof metadata & { managedFields?: unknown };
          return stringify(
            { apiVersion: kind.apiVersion, kind: kind.kind, metadata: own, ...rest },
            UNFOLDED,
          );
        });
      } catch (error) {
        if (isKubeError(error, 'notFound', 'forbidden')) return [`# ${kind.plural}: ${error.message}\n`];
        throw error;
      }
    }),
  );
  return texts.flat().join('---\n');
}

async function readLog(cluster: Pods, pod: string): Promise<string> {
  const lines: string[] = [];
  for await (const line of cluster.log(pod, { tailLines: LOG_LINES }, AbortSignal.timeout(LOG_MS)))
    lines.push(line);
  return `${lines.join('\n')}\n`;
}

/** Of a local part without quotes, in the letters of any country with their marks. JSON has some as an escape. */
const LOCAL_CHARACTER = String.raw`[^\s"\\<>()[\]:;,@]`;
const ESCAPE = 'u[0-9a-f]{4}';
/** A byte beyond ASCII, as a trace has it. */
const TRACED = '<[0-9A-F]{2}>';
/** From the begin of a word on, so that a long one is looked through once. */
const BEGIN = String.raw`(?<!${LOCAL_CHARACTER}|\\(?=\\{0,7}${ESCAPE})|${TRACED})`;
const UNQUOTED = String.raw`${BEGIN}(?:\\{1,8}${ESCAPE}|${TRACED}|${LOCAL_CHARACTER})+`;
/**
 * In JSON each quote and each backslash has a backslash before it, and in JSON within JSON three. What stands before the first
 * quote stands before the last one; a quote with one backslash more is inside.
 */
const FIRST = String.raw`(?<!\\)(?<b>\\*)"`;
const INSIDE = String.raw`(?:[^"\\\n]|\\+(?=[^"\\])|(?:\k<b>\\\k<b>\\)*\k<b>\\\k<b>"){0,256}`;
const LAST = String.raw`(?:\k<b>\\\k<b>\\)*\k<b>"`;
/** From the end of a text of JSON to the begin of the next one, which may be @partner.example, for all of a domain. */
const BETWEEN = String.raw`[\s:,[\]{}]*\k<b>"@`;
const QUOTED = `${FIRST}(?!${BETWEEN})${INSIDE}${LAST}`;
/** The digest of an image is none. */
const DOMAIN = String.raw`\[|(?!sha256:)${LOCAL_CHARACTER}`;
const LOCAL_PART = new RegExp(`(${QUOTED}|${UNQUOTED})@(?=${DOMAIN})`, 'gu');

/** Replaces local parts of mail addresses by a hash with a key that nobody keeps. Domains stay. */
export function makeRedaction(key: Buffer = randomBytes(32)): (text: string) => string {
  const hash = (local: string) => createHash('sha256').update(key).update(local).digest('hex').slice(0, 12);
  return (text) => text.replace(LOCAL_PART, (_, local: string) => `${hash(withoutEscapes(local))}@`);
}

/** Of a text of JSON, or of a trace: so it gets the same word as elsewhere. */
function withoutEscapes(local: string): string {
  let text = local
    .replace(new RegExp(`(?:${TRACED})+`, 'g'), (bytes) =>
      Buffer.from(bytes.replaceAll(/[<>]/g, ''), 'hex').toString(),
    )
    .replace(/\\{1,8}u([0-9a-f]{4})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
  while (/^\\./su.test(text)) text = text.replace(/\\(.)/gsu, '$1');
  return text;
}
