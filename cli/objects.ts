/**
 * The Secrets and ConfigMaps among the documents of a manifest: which of them the MailRelay means, and their contents, byte
 * for byte as a kubelet mounts them. Values that the API server would refuse are faults with a place. Pure.
 */
import type { Reference } from '#crds/references.ts';
import type { ValidManifest } from '#crds/validate.ts';
import type { Place, YamlDocument } from './yamlfiles.ts';

export interface KubernetesObject {
  readonly apiVersion?: unknown;
  readonly kind?: string;
  readonly metadata?: { readonly name?: string; readonly namespace?: string } | null;
}

export type NamedObject = Pick<Reference, 'kind' | 'name'>;

export type Contents = Readonly<Record<string, Buffer>>;

/** The message begins with the object and the field. */
interface ObjectFault extends Place {
  readonly message: string;
}

export interface FoundObject {
  readonly contents: Contents;
  readonly faults: readonly ObjectFault[];
  /** The place of the value of a key. */
  readonly locate: (key: string) => Place;
}

/** Of two fields of a Secret with one key, the later one counts. The API server takes no ConfigMap with such fields. */
const FIELDS: Readonly<Record<Reference['kind'], Readonly<Record<string, 'text' | 'base64'>>>> = {
  Secret: { data: 'base64', stringData: 'text' },
  ConfigMap: { data: 'text', binaryData: 'base64' },
};

/** True for a key of a Secret or a ConfigMap, which becomes the name of a file (IsConfigMapKey of Kubernetes). */
export function isObjectKey(text: string): boolean {
  return /^(?!\.\.|\.$)[-._a-zA-Z0-9]{1,253}$/.test(text);
}

const BAD_KEY =
  'cannot be a key: use up to 253 letters, digits, hyphens, dots and underscores, and do not begin with two dots';

/** One without a namespace goes where the other one goes. Of two objects with one name kubectl applies the last one last. */
export function findObject(
  documents: readonly YamlDocument[],
  { kind, name }: NamedObject,
  { namespace, namesNamespace }: Pick<ValidManifest, 'namespace' | 'namesNamespace'>,
): FoundObject | undefined {
  const own = namesNamespace ? namespace : undefined;
  const named = documents.flatMap((document) => {
    const object = document.value as KubernetesObject | null;
    if (object?.kind !== kind || object.metadata?.name !== name) return [];
    return [{ document, place: object.metadata.namespace ?? undefined }];
  });
  const isMeant = ({ place }: (typeof named)[number]) => !(place && own) || place === own;
  const found = named.findLast(({ place }) => place === own) ?? named.findLast(isMeant);
  return found && readObject(found.document, { kind, name });
}

function readObject(document: YamlDocument, { kind, name }: NamedObject): FoundObject {
  const object = document.value as Readonly<Record<string, unknown>>;
  const given = Object.entries(FIELDS[kind]).flatMap(([field, form]) =>
    readField(field, object[field], form),
  );
  const values = kind === 'ConfigMap' ? given.map(refuseSecond) : given;
  return {
    contents: Object.fromEntries(
      values.flatMap(({ keys: [, key], read }) => (Buffer.isBuffer(read) ? [[String(key), read]] : [])),
    ),
    faults: values.flatMap(({ keys, read }) => {
      if (Buffer.isBuffer(read)) return [];
      const message = `${kind} "${name}": ${keys.join('.')} ${read}`;
      return [{ ...document.locate(keys, 'value'), message }];
    }),
    locate: (wanted) => {
      const found = values.findLast(({ keys: [, key] }) => key === wanted);
      return document.locate(found?.keys ?? ['data'], 'value');
    },
  };
}

interface Value {
  /** The field, and the key in it unless the field itself is wrong. */
  readonly keys: readonly string[];
  /** A text: what is wrong with it, which does not repeat what may be secret. */
  readonly read: Buffer | string;
}

/** The API server reads null as nothing. */
function readField(field: string, given: unknown, form: 'text' | 'base64'): Value[] {
  const values = given ?? {};
  if (typeof values !== 'object' || Array.isArray(values))
    return [{ keys: [field], read: 'must have keys with a value each: write "KEY: VALUE" below it' }];
  return Object.entries(values).map(([key, value]) => ({
    keys: [field, key],
    read: isObjectKey(key) ? readValue(value ?? '', form) : BAD_KEY,
  }));
}

function refuseSecond(value: Value, index: number, all: readonly Value[]): Value {
  const [, key] = value.keys;
  const isSecond = all.findIndex(({ keys }) => keys[1] === key) < index;
  return key !== undefined && isSecond
    ? { ...value, read: 'has the key of a value in data: remove one of them' }
    : value;
}

function readValue(value: unknown, form: 'text' | 'base64'): Buffer | string {
  if (typeof value !== 'string') return 'must be text: put it into quotes';
  if (form === 'text') return Buffer.from(value);
  return isBase64(value)
    ? Buffer.from(value, 'base64')
    : 'must be base64: encode it, or write it as text (stringData of a Secret, data of a ConfigMap)';
}

/** As Go reads it: ends of lines do not count. */
function isBase64(text: string): boolean {
  const letters = text.replace(/[\r\n]/g, '');
  return letters.length % 4 === 0 && !/[^A-Za-z0-9+/]/.test(letters.replace(/={1,2}$/, ''));
}
