/**
 * Reads manifests: a YAML file or a folder of them, each with any number of documents. Finds the MailRelay and the
 * Secrets and ConfigMaps that it names. Every fault is one sentence with file, line, column and field.
 */
import { gunzipSync } from 'node:zlib';
import { type Fault, type ValidManifest, validateMailRelay } from '#crds/validate.ts';
import type { Warning } from '#crds/warnings.ts';
import { GROUP, KIND } from '#crds/wellknown.ts';
import { nameInput } from './inputfile.ts';
import { visible } from './terminal.ts';
import { listYamlFiles, type Place, readYamlFile, type YamlDocument, type YamlFile } from './yamlfiles.ts';

interface KubernetesObject {
  readonly apiVersion?: unknown;
  readonly kind?: string;
  readonly metadata?: { readonly name?: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly binaryData?: Readonly<Record<string, string>>;
  readonly stringData?: Readonly<Record<string, string>>;
}

/** A List of Kubernetes has objects in the place of documents. */
const LISTS: readonly unknown[] = ['List', `${KIND}List`];

/** One MailRelay, and the Secrets and ConfigMaps among the same documents. */
export interface Manifests {
  readonly file: string;
  readonly relay: ValidManifest;
  /** The MailRelay without defaults. */
  readonly written: { readonly spec?: unknown };
  /** The decoded values of a Secret by key; undefined if the Secret is not among the documents. */
  readonly secret: (name: string) => Readonly<Record<string, string>> | undefined;
  readonly configMap: (name: string) => Readonly<Record<string, string>> | undefined;
}

/** Throws an Error whose message has one line for each fault. */
export async function readManifests(path: string): Promise<Manifests> {
  const files: YamlFile[] = [];
  // One after the other, because all may be the same pipe.
  for (const file of listYamlFiles(path)) files.push(await readYamlFile(file));
  const faults = files.flatMap((file) => file.faults);
  if (faults.length > 0)
    throw new Error(faults.map((fault) => `${printPlace(fault)}: ${visible(fault.message)}`).join('\n'));
  const documents = files.flatMap((file) => file.documents.flatMap(listObjects));
  const relays = documents.filter(isMailRelay);
  const [relay] = [...relays.filter(isMisnamed), ...relays];
  if (!relay)
    throw new Error(`There is no MailRelay in ${nameInput(path)}: add a document of kind MailRelay`);
  if (relays.length > 1 && !isMisnamed(relay))
    throw new Error(
      `There are ${relays.length} MailRelays in ${nameInput(path)}: run one at a time, each with its own --state`,
    );
  const objects = documents.map(({ value }) => value as KubernetesObject);
  const find = (kind: string, name: string) =>
    objects.find((object) => object.kind === kind && object.metadata?.name === name);
  return {
    file: relay.file,
    relay: validated(relay),
    written: relay.value as Manifests['written'],
    secret: (name) => decodeSecret(find('Secret', name)),
    configMap: (name) => decodeConfigMap(find('ConfigMap', name)),
  };
}

export function isMailRelay(document: YamlDocument): boolean {
  return (document.value as KubernetesObject | null)?.kind === KIND || isMisnamed(document);
}

/** Meant as a MailRelay, and of another kind or none: our group has no others. What nobody looks at would count as right. */
function isMisnamed({ value }: YamlDocument): boolean {
  const { apiVersion, kind } = (value ?? {}) as KubernetesObject;
  if (kind === KIND) return false;
  return String(apiVersion).startsWith(`${GROUP}/`) || String(kind).toLowerCase() === KIND.toLowerCase();
}

/** The objects of a document: those of a List, or the document itself. */
export function listObjects(document: YamlDocument): readonly YamlDocument[] {
  const { kind, items } = (document.value ?? {}) as { kind?: unknown; items?: unknown };
  if (!LISTS.includes(kind) || !Array.isArray(items)) return [document];
  return items.map((value: unknown, index) => ({
    file: document.file,
    value,
    locate: (keys, part) => document.locate(['items', index, ...keys], part),
  }));
}

/** In the form that editors and CI understand. A name of a file with an end of a line would be a line of its own. */
export function printPlace({ file, line, column }: Place): string {
  return `${visible(nameInput(file))}:${line}:${column}`;
}

/** In the order of the text. A field that should not be there is found by its name, all others by their value. */
export function placeFaults<Found extends Fault | Warning>(
  { locate }: YamlDocument,
  faults: readonly Found[],
): (Found & Place)[] {
  return faults
    .map((fault) => ({ ...fault, ...locate(fault.keys, fault.kind === 'field' ? 'name' : 'value') }))
    .toSorted((a, b) => a.line - b.line || a.column - b.column);
}

function validated(document: YamlDocument): ValidManifest {
  const judged = validateMailRelay(document.value);
  if (judged.kind === 'valid') return judged.manifest;
  const lines = placeFaults(document, judged.faults).map(
    (fault) => `${printPlace(fault)}: ${visible(`${fault.path}: ${fault.message}`)}`,
  );
  throw new Error(lines.join('\n'));
}

function decodeSecret(secret: KubernetesObject | undefined): Readonly<Record<string, string>> | undefined {
  if (!secret) return undefined;
  return { ...decodeAll(secret, secret.data), ...secret.stringData };
}

function decodeConfigMap(
  configMap: KubernetesObject | undefined,
): Readonly<Record<string, string>> | undefined {
  if (!configMap?.binaryData) return configMap?.data;
  return { ...configMap.data, ...decodeAll(configMap, configMap.binaryData) };
}

function decodeAll(
  { kind, metadata }: KubernetesObject,
  data: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const decode = (key: string, value: string) => {
    try {
      return decodeFile(Buffer.from(value, 'base64'));
    } catch (error) {
      const text = `key "${key}" is packed by gzip, and cannot be unpacked`;
      throw new Error(`${kind} "${metadata?.name}": ${text}: ${(error as Error).message}`);
    }
  };
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, decode(key, value)]));
}

/** Files that gzip has packed are unpacked, because the folders of the relay are written as texts. */
export function decodeFile(bytes: Buffer): string {
  const isPacked = bytes[0] === 0x1f && bytes[1] === 0x8b;
  return (isPacked ? gunzipSync(bytes) : bytes).toString();
}
