/**
 * Makes a table of the contents of its file, as text or packed by gzip, or says why there is none. The relay, `explain`
 * and `lint` read a table by this alone, so they agree. Pure.
 */
import { gunzip, isPacked } from '#crds/gunzip.ts';
import { TableBuilder } from './tablefile.ts';
import { readTable } from './tabletext.ts';

/** A small file of gzip can become any size. */
const MOST_BYTES = 32 * 1024 * 1024;
const LINES_AT_ONCE = 1_000;

export type BuiltTable =
  | { readonly kind: 'built'; readonly bytes: Buffer; readonly entries: number; readonly leftOut: number }
  | TableFault;

/** `fault` goes on after the name of the table. */
export interface TableFault {
  readonly kind: 'fault';
  readonly fault: string;
}

/** Stops after each thousand lines, for a caller who serves others meanwhile. */
export function* buildTable(contents: Buffer): Generator<void, BuiltTable> {
  const text = unpack(contents);
  if (typeof text !== 'string') return text;
  const builder = new TableBuilder();
  let [lines, leftOut] = [0, 0];
  for (const line of readTable(text)) {
    if (line.kind === 'fault') return faulty(`has a wrong line ${line.line} (${line.reason})`);
    if (line.kind === 'entry') builder.add(line.key, line.entry);
    if (line.kind === 'left out') leftOut += 1;
    lines += 1;
    if (lines % LINES_AT_ONCE === 0) yield;
  }
  const { bytes, entries } = builder.finish();
  if (entries === 0 && leftOut > 0)
    return faulty('has no entry with an @ (begin a line with an address or @example.com)');
  return { kind: 'built', bytes, entries, leftOut };
}

export function buildTableAtOnce(contents: Buffer): BuiltTable {
  const steps = buildTable(contents);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

function unpack(contents: Buffer): string | TableFault {
  if (!isPacked(contents)) return contents.toString();
  try {
    return gunzip(contents, MOST_BYTES).toString();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
      ? faulty('is larger than 32 MiB when unpacked (make several tables of it)')
      : faulty('is packed by gzip and damaged (pack it again)');
  }
}

function faulty(fault: string): TableFault {
  return { kind: 'fault', fault };
}
