/**
 * The head of a watch event: its type and the metadata of its object. An object can have a megabyte, and often its
 * metadata say that nobody needs the rest, so only they are parsed. The API server writes them before the content. Pure.
 */
import type { KubeObject } from './client.ts';

export interface EventHead {
  readonly type: 'ADDED' | 'MODIFIED';
  readonly object: KubeObject;
}

const BEGIN =
  /^\{"type":"(ADDED|MODIFIED)","object":\{(?:"(?:kind|apiVersion)":"[^"\\]*",)*"metadata":(?=\{)/;

/** Undefined if the line is another event, or is written in another way. */
export function readHead(line: string): EventHead | undefined {
  const begin = BEGIN.exec(line);
  if (!begin) return undefined;
  const end = findEnd(line, begin[0].length);
  if (end === undefined) return undefined;
  const metadata = JSON.parse(line.slice(begin[0].length, end)) as KubeObject['metadata'];
  return { type: begin[1] as EventHead['type'], object: { metadata } };
}

/** The place behind the JSON object that begins at `from`. */
function findEnd(text: string, from: number): number | undefined {
  const token = /[{}]|"[^"\\]*(?:\\.[^"\\]*)*"/g;
  token.lastIndex = from;
  let depth = 0;
  for (let found = token.exec(text); found; found = token.exec(text)) {
    if (found[0] === '{') depth += 1;
    if (found[0] === '}') depth -= 1;
    if (depth === 0) return token.lastIndex;
  }
  return undefined;
}
