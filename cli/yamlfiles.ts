/**
 * Reads YAML files, each with any number of documents, and keeps the place of each field. Faults of the text are values
 * with a line and a column, in plain words.
 */
import { isUtf8 } from 'node:buffer';
import { readdirSync, statSync } from 'node:fs';
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
import { readWhole } from './inputfile.ts';

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

export interface YamlFile {
  readonly documents: readonly YamlDocument[];
  readonly faults: readonly TextFault[];
}

/** kubectl and the API server read YAML 1.1 (sigs.k8s.io/yaml), but for times and numbers with colons: these are text. */
const AS_KUBERNETES: ParseOptions & SchemaOptions & DocumentOptions = {
  version: '1.1',
  // What the library would write to standard error by itself.
  logLevel: 'error',
  customTags: (tags) => tags.filter((tag) => typeof tag === 'string' || !isTime(tag)),
};

function isTime({ tag, format }: Exclude<Tags[number], string>): boolean {
  return tag === 'tag:yaml.org,2002:timestamp' || format === 'TIME';
}

const TOO_DEEP = 'its brackets or lists are nested too deeply: write fewer levels';
/** What YAML does not allow, also not in a comment (section 5.1), and what stands for bytes that are no UTF-8. */
const UNPRINTABLE = /[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffc\u{10000}-\u{10ffff}]/u;
const NO_TEXT = 'this is no text: save the file in UTF-8, without control characters';
const QUOTE = 'put the text into quotes';

/** Each code of the library in words, with the cure. */
const WORDS: Readonly<Record<YAMLError['code'], string>> = {
  ALIAS_PROPS: 'an alias (*name) has no anchor and no tag of its own: remove them',
  BAD_COLLECTION_TYPE: 'the tag (!) does not fit a list or an object: remove it',
  BAD_DIRECTIVE:
    'a line that begins with % is a directive, and this one cannot be read: remove it, or put the text into quotes',
  BAD_DQ_ESCAPE:
    'there is no such escape after the backslash: write \\\\ for a backslash, or use single quotes',
  BAD_PROP_ORDER: 'an anchor (&) or a tag (!) is in the wrong place: write it before the value',
  BAD_SCALAR_START: `a text without quotes cannot begin with this character: ${QUOTE}`,
  IMPOSSIBLE: `this cannot be read as YAML: ${QUOTE}`,
  KEY_OVER_1024_CHARS: 'the name of a field is too long: write fewer than 1024 characters',
  MULTIPLE_ANCHORS: 'a value has two anchors (&): remove one of them',
  MULTIPLE_DOCS: 'there is a second document: remove it',
  MULTIPLE_TAGS: 'a value has two tags (!): remove one of them',
  NON_STRING_KEY: 'the name of a field must be text: write it as text',
  RESOURCE_EXHAUSTION: TOO_DEEP,
  TAG_RESOLVE_FAILED: `a text that begins with ! is a tag, and there is no such tag: remove it, or ${QUOTE}`,
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

export async function readYamlFile(file: string): Promise<YamlFile> {
  const bytes = await readWhole(file);
  const text = bytes.toString();
  const unreadable = findUnreadable(bytes, text);
  if (unreadable) return { documents: [], faults: [{ file, ...unreadable, message: NO_TEXT }] };
  const lineCounter = new LineCounter();
  const parsed = parse(text, lineCounter);
  if (parsed === undefined)
    return { documents: [], faults: [{ file, line: 1, column: 1, message: TOO_DEEP }] };
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

/** Where the API server would find no text, though a decoder goes on. */
function findUnreadable(bytes: Buffer, text: string): Pick<Place, 'line' | 'column'> | undefined {
  const isWhole = isUtf8(bytes);
  // The character that stands for other bytes may be meant, too.
  const at = (isWhole ? text.replaceAll('\ufffd', ' ') : text).search(UNPRINTABLE);
  if (at < 0) return undefined;
  const before = text.slice(0, at).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

/** Undefined: the parser, which calls itself for each level, has no room left. */
function parse(text: string, lineCounter: LineCounter): readonly Document.Parsed[] | undefined {
  try {
    return [...parseAllDocuments(text, { ...AS_KUBERNETES, prettyErrors: false, lineCounter })];
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Of several faults of a document only the first counts, because the others mostly follow from it. */
function readDocument(
  file: string,
  document: Document.Parsed,
  place: (offset: number) => Place,
): { document?: YamlDocument; fault?: TextFault } {
  const [error] = document.errors;
  if (error) {
    return { fault: { ...place(error.pos[0]), message: WORDS[error.code] } };
  }
  try {
    const value: unknown = document.toJS();
    const locate = (keys: Keys, part: Part) => place(findOffset(document, keys, part));
    return value === null ? {} : { document: { file, value, locate } };
  } catch (error) {
    if (error instanceof RangeError) return { fault: { ...place(document.range[0]), message: TOO_DEEP } };
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
