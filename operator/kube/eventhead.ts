/**
 * The head of a watch event: its type and the metadata of its object. An object can have a megabyte, and often its
 * metadata say that nobody needs the rest, so only they are parsed. The API server writes them before the content. Pure.
 */
import type { KubeObject } from './client.ts';

type Metadata = KubeObject['metadata'];

export interface EventHead {
  readonly type: 'ADDED' | 'MODIFIED';
  /** Its managedFields may be missing. */
  readonly object: KubeObject;
}

const BEGIN =
  /^\{"type":"(ADDED|MODIFIED)","object":\{(?:"(?:kind|apiVersion)":"[^"\\]*",)*"metadata":(?=\{)/;
const MANAGED_FIELDS = '"managedFields":[{';
/** No other list is in them. In a string no letter follows, because there a quote is escaped or ends the string. */
const END_OF_MANAGED_FIELDS = /\}\],(?="([A-Za-z]+)")/g;

/** Undefined if the line is another event, or is written in another way. */
export function readHead(line: string): EventHead | undefined {
  const begin = BEGIN.exec(line);
  const metadata = begin ? readMetadata(line, begin[0].length) : undefined;
  return metadata && { type: begin?.[1] as EventHead['type'], object: { metadata } };
}

/** Nobody reads managedFields, and half of an object can be managedFields. So they are left out. */
function readMetadata(text: string, from: number): Metadata | undefined {
  const end = findEnd(text, from, 0);
  if (end === undefined) return undefined;
  const own = text.slice(from, end);
  if (!text.startsWith(MANAGED_FIELDS, end)) return JSON.parse(own);
  const before = JSON.parse(`${own.replace(/,$/, '')}}`);
  // They are the last of the metadata, but the fields of custom objects are sorted.
  return 'name' in before ? before : readSorted(text, end, before);
}

/** Behind managedFields comes the name. */
function readSorted(text: string, from: number, before: object): Metadata | undefined {
  END_OF_MANAGED_FIELDS.lastIndex = from;
  const found = END_OF_MANAGED_FIELDS.exec(text);
  if (found?.[1] !== 'name') return undefined;
  const next = END_OF_MANAGED_FIELDS.lastIndex;
  const end = findEnd(text, next, 1);
  return end === undefined ? undefined : { ...before, ...JSON.parse(`{${text.slice(next, end)}`) };
}

/** The place behind the JSON object that is open at `from` so many times, or of its managedFields. */
function findEnd(text: string, from: number, depthThere: number): number | undefined {
  const token = /[{}]|"[^"\\]*(?:\\.[^"\\]*)*"/g;
  token.lastIndex = from;
  let depth = depthThere;
  for (let found = token.exec(text); found; found = token.exec(text)) {
    if (found[0] === '{') depth += 1;
    if (found[0] === '}') depth -= 1;
    if (depth === 0) return token.lastIndex;
    if (depth === 1 && text.startsWith(MANAGED_FIELDS, found.index)) return found.index;
  }
  return undefined;
}
