/**
 * Reads manifests: a YAML file or a folder of them, each with any number of documents. Finds the MailRelay and the
 * Secrets and ConfigMaps that it names. Every fault is one sentence with file and field.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { type ValidManifest, validateMailRelay } from '#crds/validate.ts';
import { KIND } from '#crds/wellknown.ts';

interface KubernetesDocument {
  readonly kind?: string;
  readonly metadata?: { readonly name?: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly stringData?: Readonly<Record<string, string>>;
}

interface Found {
  readonly file: string;
  readonly value: KubernetesDocument;
}

/** One MailRelay, and the Secrets and ConfigMaps among the same documents. */
export interface Manifests {
  readonly file: string;
  readonly relay: ValidManifest;
  /** The decoded values of a Secret by key; undefined if the Secret is not among the documents. */
  readonly secret: (name: string) => Readonly<Record<string, string>> | undefined;
  readonly configMap: (name: string) => Readonly<Record<string, string>> | undefined;
}

/** Throws an Error whose message has one line for each fault. */
export function readManifests(path: string): Manifests {
  const found = listFiles(path).flatMap(parseDocuments);
  const relays = found.filter(({ value }) => value.kind === KIND);
  const [relay] = relays;
  if (!relay) throw new Error(`There is no MailRelay in ${path}: add a document of kind MailRelay`);
  if (relays.length > 1) {
    throw new Error(
      `There are ${relays.length} MailRelays in ${path}: run one at a time, each with its own --state`,
    );
  }
  return {
    file: relay.file,
    relay: validated(relay),
    secret: (name) =>
      decodeSecret(
        found.find(({ value }) => value.kind === 'Secret' && value.metadata?.name === name)?.value,
      ),
    configMap: (name) =>
      found.find(({ value }) => value.kind === 'ConfigMap' && value.metadata?.name === name)?.value.data,
  };
}

/** Every MailRelay of a path with its faults, for `mailrelay lint`. */
export function lintManifests(path: string): { file: string; name: string; faults: string[] }[] {
  const found = listFiles(path).flatMap(parseDocuments);
  return found
    .filter(({ value }) => value.kind === KIND)
    .map(({ file, value }) => {
      const judged = validateMailRelay(value);
      const faults =
        judged.kind === 'invalid' ? judged.faults.map((fault) => `${fault.path}: ${fault.message}`) : [];
      return { file, name: value.metadata?.name ?? '', faults };
    });
}

function validated({ file, value }: Found): ValidManifest {
  const judged = validateMailRelay(value);
  if (judged.kind === 'valid') return judged.manifest;
  throw new Error(judged.faults.map((fault) => `${file}: ${fault.path}: ${fault.message}`).join('\n'));
}

function listFiles(path: string): string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    const names = readdirSync(path).filter((name) => /\.ya?ml$/.test(name));
    return names.toSorted().map((name) => join(path, name));
  } catch (error) {
    throw new Error(`Cannot read "${path}": ${(error as NodeJS.ErrnoException).code}`);
  }
}

function parseDocuments(file: string): Found[] {
  const documents = parseAllDocuments(readText(file), { version: '1.1' });
  return [...documents].flatMap((document) => {
    const [problem] = document.errors;
    if (problem) throw new Error(`${file}: ${problem.message.split('\n')[0]}`);
    const value: unknown = document.toJS();
    return value !== null && typeof value === 'object' ? [{ file, value: value as KubernetesDocument }] : [];
  });
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`Cannot read "${file}": ${(error as NodeJS.ErrnoException).code}`);
  }
}

function decodeSecret(secret: KubernetesDocument | undefined): Readonly<Record<string, string>> | undefined {
  if (!secret) return undefined;
  const decoded = Object.entries(secret.data ?? {}).map(([key, value]) => [
    key,
    Buffer.from(value, 'base64').toString(),
  ]);
  return { ...Object.fromEntries(decoded), ...secret.stringData };
}
