/**
 * Reads YAML files, each with any number of documents, and keeps the place of each field. Faults of the text are values
 * with a line and a column, in plain words.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Document,
  type DocumentOptions,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type ParseOptions,
  parseAllDocuments,
  type SchemaOptions,
  type Tags,
  visit,
  type YAMLError,
} from 'yaml';
import { describeFileError } from '#crds/systemwords.ts';

type Keys = readonly (string | number)[];
type Part = 'name' | 'value';

export interface Place {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly column: number;
}

interface TextFault extends Place {
  readonly message: string;
}

export interface YamlDocument {
  readonly file: string;
  readonly value: unknown;
  /** The place of the name or of the value of a field; of the nearest field around it if it is not there. */
  readonly locate: (keys: Keys, part: Part) => Place;
}

interface YamlFile {
  readonly documents: readonly YamlDocument[];
  readonly faults: readonly TextFault[];
}

/** kubectl and the API server read YAML 1.1 (sigs.k8s.io/yaml), but for times and numbers with colons: these are text. */
const AS_KUBERNETES: ParseOptions & SchemaOptions & DocumentOptions = {
  version: '1.1',
  customTags: (tags) => tags.filter((tag) => typeof tag === 'string' || !isTime(tag)),
};

function isTime({ tag, format }: Exclude<Tags[number], string>): boolean {
  return tag === 'tag:yaml.org,2002:timestamp' || format === 'TIME';
}

/** The codes of the library in words, each with the cure. */
const WORDS: Readonly<Partial<Record<YAMLError['code'], string>>> = {
  BAD_ALIAS: 'this alias cannot be used here: name an anchor that is written above it',
  BAD_INDENT:
    'the indentation does not fit, or a closing bracket is missing: align the lines, or close the bracket',
  BLOCK_AS_IMPLICIT_KEY: 'there are two fields on one line: begin a new line, or put the value into quotes',
  BLOCK_IN_FLOW: 'a comma or a closing bracket is missing: add it',
  DUPLICATE_KEY: 'the same field is there twice: remove one of them',
  MISSING_CHAR: 'a closing bracket or a closing quote is missing: add it',
  MULTILINE_IMPLICIT_KEY: 'a comma, a colon or a closing bracket is missing: add it',
  TAB_AS_INDENT: 'a tab indents this line: use spaces',
  UNEXPECTED_TOKEN:
    'this does not belong here: align the line with those around it, or put the text into quotes',
};

/** "-" is standard input. Throws if the path cannot be read. */
export function listYamlFiles(path: string): string[] {
  if (path === '-') return [path];
  try {
    if (!statSync(path).isDirectory()) return [path];
    const names = readdirSync(path).filter((name) => /\.ya?ml$/.test(name));
    return names.toSorted().map((name) => join(path, name));
  } catch (error) {
    throw describeFileError('read', path, error);
  }
}

export function readYamlFile(file: string): YamlFile {
  const text = readText(file);
  const lineCounter = new LineCounter();
  const parsed = [...parseAllDocuments(text, { ...AS_KUBERNETES, prettyErrors: false, lineCounter })];
  const place = (offset: number): Place => {
    const { line, col } = lineCounter.linePos(offset);
    return { file, line: Math.max(1, line), column: Math.max(1, col) };
  };
  const read = parsed.map((document) => readDocument(file, document, place));
  return {
    documents: read.flatMap(({ document }) => document ?? []),
    faults: read.flatMap(({ fault }) => fault ?? []),
  };
}

/** Of several faults of a document only the first counts, because the others mostly follow from it. */
function readDocument(
  file: string,
  document: Document.Parsed,
  place: (offset: number) => Place,
): { document?: YamlDocument; fault?: TextFault } {
  const [error] = document.errors;
  if (error) {
    const message = WORDS[error.code] ?? `this is no YAML: ${error.message}`;
    return { fault: { ...place(error.pos[0]), message } };
  }
  try {
    const value: unknown = document.toJS();
    const locate = (keys: Keys, part: Part) => place(findOffset(document, keys, part));
    return value === null ? {} : { document: { file, value, locate } };
  } catch {
    const message =
      'an alias (*name) has no anchor (&name) above it, or there are too many: write the values out';
    return { fault: { ...place(findBadAlias(document)), message } };
  }
}

/** The library finds an alias without an anchor only when it makes the value. */
function findBadAlias(document: Document.Parsed): number {
  let offset = document.range[0];
  visit(document, {
    Alias(_, alias) {
      if (alias.resolve(document)) return undefined;
      offset = alias.range?.[0] ?? offset;
      return visit.BREAK;
    },
  });
  return offset;
}

/** A value with fields of its own is found by its name. */
function findOffset(document: Document.Parsed, keys: Keys, part: Part): number {
  let node: unknown = document.contents;
  let offset = isNode(node) ? (node.range?.[0] ?? 0) : document.range[0];
  for (const key of keys) {
    const inner = isAlias(node) ? node.resolve(document) : node;
    if (isSeq(inner)) node = inner.items[Number(key)];
    else if (isMap(inner)) {
      const pair = inner.items.find((one) => isScalar(one.key) && String(one.key.value) === String(key));
      if (!pair) return offset;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value;
    } else return offset;
    if (isSeq(inner) || (isScalar(node) && part === 'value'))
      offset = (isNode(node) ? node.range?.[0] : undefined) ?? offset;
  }
  return offset;
}

function readText(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw describeFileError('read', file, error);
  }
}
