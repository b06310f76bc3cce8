/**
 * `mailrelay run`: runs a MailRelay without a cluster, with the same schema, policy file and supervisor as in a pod. It
 * watches the manifest and applies changes as the operator would. An invalid manifest changes nothing, and one sentence
 * names its fault. runoutput.ts decides where lines for people and the JSON log go.
 */
import { join, resolve } from 'node:path';
import { certificateSecretName, effectivePolicy, needsKeyPair } from '#crds/effective.ts';
import { judgePair } from '#crds/keypair.ts';
import { printEndpoint } from '#crds/networks.ts';
import { hashContent, type NamedPair, POLICY_FILE_NAME, type Policy, printPolicy } from '#crds/policyfile.ts';
import { listNames, listReferences, type Reference } from '#crds/references.ts';
import { describeSystemError } from '#crds/systemwords.ts';
import { jsonLog, type Log, type ProcessLog } from '#relay/observe/log.ts';
import { type Relay, startRelay } from '#relay/supervisor/relay.ts';
import { type Manifests, readManifests } from './documents.ts';
import { type Files, publishFolder } from './inputfolder.ts';
import { canShowView, LiveView } from './liveview.ts';
import { localPair } from './localca.ts';
import { ManifestWatch } from './manifestwatch.ts';
import type { Contents } from './objects.ts';
import { ownCommand } from './owncommand.ts';
import { SINK_NAME, writeRunNote } from './runnote.ts';
import { PLAIN_OUTPUT, type RunOutput } from './runoutput.ts';
import { describeApplied, describeChange, listNotStarted, SINK_ADDRESS } from './runtext.ts';
import { untilStopSignal } from './signals.ts';
import { UsageError } from './usage.ts';
import { projectVersion } from './version.ts';

interface RunOptions {
  readonly file?: string;
  readonly state?: string;
  readonly listen: string;
  readonly adminPort: number;
  /** The port of a sink behind the relay. */
  readonly sink?: number;
  readonly log?: boolean;
}

interface Target {
  readonly stateDir: string;
  readonly policyDir: string;
  readonly certificateDir: string;
  readonly secretsDir: string;
  readonly configMapsDir: string;
}

interface Published {
  readonly policy: Policy;
  /** Path of the throw-away CA certificate, which clients trust. */
  readonly caFile: string | undefined;
  readonly notStarted: readonly string[];
}

export async function run(path: string | undefined, options: RunOptions): Promise<number> {
  const file = chooseManifest(path, options.file);
  const watch = new ManifestWatch(file);
  const manifests = await readManifests(file);
  const target = targetIn(
    options.state ?? join('.state', `${manifests.relay.namespace}-${manifests.relay.name}`),
  );
  const { listen: address, adminPort } = options;
  let published = await publish(manifests, target, true);
  const isLive = options.log !== true && canShowView();
  const output = isLive ? new LiveView(target.stateDir) : PLAIN_OUTPUT;
  const relay = await startLocally(target, options, output);
  const ends: (() => void)[] = [];
  try {
    const sink = await startSinkBeside(options.sink, target, output);
    if (sink) ends.push(sink.stop);
    const problem = writeRunNote(target.stateDir, {
      name: `${manifests.relay.namespace}/${manifests.relay.name}`,
      adminUrl: `http://${printEndpoint(address, adminPort)}`,
    });
    if (problem) output.tell(problem);
    const command = ownCommand();
    output.start(() => ({ ...published, address, adminPort, status: relay.status(), command, sink }));
    ends.push(
      watch.follow(async () => {
        published = (await applyChange(file, target, relay, output)) ?? published;
      }),
    );
    await untilStopSignal();
  } finally {
    // After an error too: task processes that go on would keep this one.
    await relay.stop();
    for (const end of ends) end();
  }
  output.end();
  return 0;
}

function chooseManifest(path: string | undefined, option: string | undefined): string {
  const file = path ?? option;
  if (file === undefined || (path !== undefined && option !== undefined))
    throw new UsageError('Name one manifest: mailrelay run FILE, or mailrelay run -f FILE');
  return file;
}

function startLocally(target: Target, options: RunOptions, output: RunOutput): Promise<Relay> {
  return startRelay({
    ...target,
    address: options.listen,
    adminAddress: options.listen,
    adminPort: options.adminPort,
    processes: 1,
    version: projectVersion(),
    log: tellingLog(jsonLog('supervisor', output.logFd, Date.now), output),
    logFd: output.logFd,
    graceMs: 0,
    drainMs: 30_000,
  });
}

/** A sink that cannot start is no reason to be without a relay: its port may have the next hop that is meant. */
async function startSinkBeside(port: number | undefined, target: Target, output: RunOutput) {
  if (port === undefined) return undefined;
  const folder = join(target.stateDir, SINK_NAME);
  try {
    const { openSink } = await import('./sink.ts');
    const { stop, port: bound } = await openSink({
      address: SINK_ADDRESS,
      port,
      tls: 'starttls',
      pair: undefined,
      folder,
      onMessage: (message) => output.taken(message),
    });
    return { port: bound, folder, stop };
  } catch (error) {
    output.tell(`Without a sink: ${(error as Error).message}`);
    return undefined;
  }
}

function targetIn(stateDir: string): Target {
  const root = resolve(stateDir);
  const inputs = join(root, 'inputs');
  return {
    stateDir: root,
    policyDir: join(inputs, 'policy'),
    certificateDir: join(inputs, 'tls'),
    secretsDir: join(inputs, 'secrets'),
    configMapsDir: join(inputs, 'configmaps'),
  };
}

/**
 * Writes the input folders of the relay. At the start an unusable key pair is an error; later the last good pair stays.
 */
async function publish(manifests: Manifests, target: Target, first: boolean): Promise<Published> {
  const { relay } = manifests;
  const policy = effectivePolicy(relay, relay.spec);
  const { host, others, caFile } = await choosePairs(manifests, target.stateDir, policy);
  const objects = new Map(listObjectFolders(manifests, target, policy));
  for (const [secret, pair] of others) objects.set(join(target.secretsDir, secret), pair);
  const judged = host && judgePair(host['tls.crt'], host['tls.key'], [policy.hostname], new Date());
  if (first && judged?.kind === 'unusable') {
    throw new Error(`Secret "${certificateSecretName(relay.name, relay.spec)}": ${judged.message}`);
  }
  for (const [dir, files] of objects) publishOrExplain(dir, files);
  publishOrExplain(target.certificateDir, host ?? {});
  publishOrExplain(target.policyDir, { [POLICY_FILE_NAME]: printPolicy(policy) });
  return { policy, caFile, notStarted: listNotStarted(relay.spec) };
}

function publishOrExplain(dir: string, files: Files): void {
  try {
    publishFolder(dir, files);
  } catch (error) {
    throw cannotWrite(dir, error);
  }
}

type Pair = Readonly<Record<'tls.crt' | 'tls.key', string>>;

interface ChosenPairs {
  readonly host: Pair | undefined;
  /** By Secret: those that are not among the documents. */
  readonly others: readonly (readonly [string, Files])[];
  readonly caFile: string | undefined;
}

/** The pairs among the documents. Instead of those that are missing, one throw-away pair with all the names. */
async function choosePairs(manifests: Manifests, stateDir: string, policy: Policy): Promise<ChosenPairs> {
  const { relay } = manifests;
  const name = certificateSecretName(relay.name, relay.spec);
  const isWanted = needsKeyPair(policy);
  const host = isWanted && name !== undefined ? manifests.find({ kind: 'Secret', name }) : undefined;
  const others = listOtherPairs(policy).filter(
    ({ secret }) => !manifests.find({ kind: 'Secret', name: secret }),
  );
  const lacksHost = isWanted && !host;
  const local =
    lacksHost || others.length > 0
      ? await localPairOrExplain(stateDir, [policy.hostname, ...others.flatMap(({ names }) => names)])
      : undefined;
  const made = local && { 'tls.crt': local.cert, 'tls.key': local.key };
  return {
    host: lacksHost ? made : host && pickPair(host),
    others: made ? others.map(({ secret }) => [secret, made] as const) : [],
    caFile: lacksHost ? local?.caFile : undefined,
  };
}

/** Without the names inside a cluster: nobody asks for them here. */
function listOtherPairs({ inbound, policyHost }: Policy): NamedPair[] {
  return [
    ...inbound.sniCertificates,
    ...(policyHost ? [{ secret: policyHost.secret, names: policyHost.hosts }] : []),
  ];
}

function pickPair({ 'tls.crt': cert, 'tls.key': key }: Contents): Pair {
  return { 'tls.crt': String(cert ?? ''), 'tls.key': String(key ?? '') };
}

async function localPairOrExplain(stateDir: string, hosts: readonly string[]) {
  try {
    return await localPair(stateDir, hosts);
  } catch (error) {
    throw cannotWrite(stateDir, error);
  }
}

function cannotWrite(dir: string, error: unknown): Error {
  return new Error(
    `Cannot write to "${dir}": ${describeSystemError(error)}; make it writable, or choose another state folder by --state`,
  );
}

/**
 * A folder for each Secret and ConfigMap that the policy names. It is empty if the object is not among the documents.
 */
function listObjectFolders(manifests: Manifests, target: Target, policy: Policy): [string, Files][] {
  const list = (kind: Reference['kind'], dir: string) =>
    listNames(listReferences(policy), kind).map((name): [string, Files] => [
      join(dir, name),
      manifests.find({ kind, name }) ?? {},
    ]);
  return [...list('Secret', target.secretsDir), ...list('ConfigMap', target.configMapsDir)];
}

/** Applies a change of the manifest, or tells why not. */
async function applyChange(
  path: string,
  target: Target,
  relay: Relay,
  output: RunOutput,
): Promise<Published | undefined> {
  try {
    const published = await publish(await readManifests(path), target, false);
    await relay.reload();
    const status = relay.status();
    if (status.policy.hash !== hashContent(published.policy)) return undefined;
    output.tell(describeApplied(status));
    return published;
  } catch (error) {
    output.tell(`Manifest not applied, nothing changed: ${(error as Error).message}`);
    return undefined;
  }
}

/** Writes the JSON log, and tells people of events that change the relay. */
function tellingLog(log: ProcessLog, output: RunOutput): ProcessLog {
  const telling: Log = (event, fields) => {
    log(event, fields);
    const text = describeChange(event, fields ?? {});
    if (text) output.tell(text);
  };
  return Object.assign(telling, { obey: log.obey });
}
