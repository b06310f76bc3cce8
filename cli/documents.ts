/**
 * Reads manifests: a YAML file or a folder of them, each with any number of documents. Finds the MailRelay and the
 * Secrets and ConfigMaps that it names. Every fault is one sentence with file, line, column and field.
 */
import { type Fault, type ValidManifest, validateMailRelay } from '#crds/validate.ts';
import type { Warning } from '#crds/warnings.ts';
import { GROUP, KIND } from '#crds/wellknown.ts';
import { nameInput } from './inputfile.ts';
import { type Contents, findObject, type KubernetesObject, type NamedObject } from './objects.ts';
import { visible } from './terminal.ts';
import { listYamlFiles, type Place, readYamlFile, type YamlDocument, type YamlFile } from './yamlfiles.ts';

/** A List of Kubernetes has objects in the place of documents. */
const LISTS: readonly unknown[] = ['List', `${KIND}List`];

/** One MailRelay, and the Secrets and ConfigMaps among the same documents. */
export interface Manifests {
  readonly file: string;
  readonly relay: ValidManifest;
  /** The MailRelay without defaults. */
  readonly written: { readonly spec?: unknown };
  /** What the object has by key; undefined if it is not among the documents. Throws as `readManifests` does. */
  readonly find: (object: NamedObject) => Contents | undefined;
}

/** Throws an Error whose message has one line for each fault. */
export async function readManifests(path: string): Promise<Manifests> {
  const files: YamlFile[] = [];
  // One after the other, because all may be the same pipe.
  for (const file of listYamlFiles(path)) files.push(await readYamlFile(file));
  const faults = files.flatMap((file) => file.faults);
  if (faults.length > 0) throw new Error(faults.map(printFault).join('\n'));
  const documents = files.flatMap((file) => file.documents.flatMap(listObjects));
  const relays = documents.filter(isMailRelay);
  const [relay] = [...relays.filter(isMisnamed), ...relays];
  if (!relay)
    throw new Error(`There is no MailRelay in ${nameInput(path)}: add a document of kind MailRelay`);
  if (relays.length > 1 && !isMisnamed(relay))
    throw new Error(
      `There are ${relays.length} MailRelays in ${nameInput(path)}: run one at a time, each with its own --state`,
    );
  const manifest = validated(relay);
  return {
    file: relay.file,
    relay: manifest,
    written: relay.value as Manifests['written'],
    find: (object) => {
      const { contents, faults = [] } = findObject(documents, object, manifest) ?? {};
      if (faults.length > 0) throw new Error(faults.map(printFault).join('\n'));
      return contents;
    },
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

function printFault(fault: Place & { readonly message: string }): string {
  return `${printPlace(fault)}: ${visible(fault.message)}`;
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
  const faults = placeFaults(document, judged.faults);
  const lines = faults.map((fault) => printFault({ ...fault, message: `${fault.path}: ${fault.message}` }));
  throw new Error(lines.join('\n'));
}
