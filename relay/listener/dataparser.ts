/**
 * Another way for the library's parser through the data of a message: it looks at each byte, and this lets a native
 * search find the lines that begin with a dot. What is kept from chunk to chunk and what ends a message are the same:
 * dataparser.test.ts holds one against the other, because none of it is public in the library.
 */
import type { SMTPStream } from 'smtp-server/lib/smtp-stream.js';

const DOT = 0x2e;
const CR = 0x0d;
const LF = 0x0a;
const LINE_WITH_DOT = Buffer.from('\n.');
const END = Buffer.from('\r\n.\r\n');
const END_AT_START = END.subarray(2);
/** Lines of a lone dot that end no message, although their sender may think so. */
export type LoneDot = 'LF.LF' | 'other';

/** Is told of them, and whether anything came behind; true ends the session, and nothing more is read. */
type LoneDotWatch = (kind: LoneDot, isLast: boolean) => boolean;

/** How a chunk may end that only the next one explains, the longest first. Most end within a line and are passed on whole. */
const OPEN_ENDS = ['\r\n.\r', '\r\n.', '\n.\r', '\r\n', '\n.', '\r', '\n'];
const OPEN_STARTS = ['.\r', '.'];

/** In place of the parser's own `_feedDataStream`. */
export function feedData(
  parser: SMTPStream,
  chunk: Buffer,
  done: () => void,
  watch: LoneDotWatch = () => false,
): void {
  const data = parser._lastBytes ? Buffer.concat([parser._lastBytes, chunk]) : chunk;
  parser._lastBytes = false;
  if (parser._atDataStart && data.subarray(0, END_AT_START.length).equals(END_AT_START)) {
    parser._endDataMode(false, data.subarray(END_AT_START.length), done);
    return;
  }
  if (parser._atDataStart && isGivenUpAtStart(data, watch)) {
    done();
    return;
  }
  const isStuffedAtStart = parser._atDataStart && data[0] === DOT && data[1] === DOT;
  // The bytes are ours alone: dots go by moving what is behind them, which costs no second buffer.
  let [from, to] = [isStuffedAtStart ? 1 : 0, 0];
  // What is kept of an earlier chunk begins with the line break; a message does not.
  const first = parser._atDataStart ? 1 : 0;
  for (let at = data.indexOf(LINE_WITH_DOT, first); at !== -1; at = data.indexOf(LINE_WITH_DOT, at + 1)) {
    const dot = at + 1;
    if (at > 0 && data.subarray(at - 1, at - 1 + END.length).equals(END)) {
      const last = moved(data, to, from, dot);
      parser._countDataBytes(last.length);
      parser._endDataMode(last, data.subarray(dot + END_AT_START.length), done);
      return;
    }
    if (isGivenUp(data, dot, watch)) {
      done();
      return;
    }
    if (data[dot + 1] !== DOT) continue;
    if (to !== from) data.copyWithin(to, from, dot);
    to += dot - from;
    from = dot + 1;
  }
  const rest = data.subarray(from);
  // From here on a dot is content, however the rest is cut.
  if (isStuffedAtStart) parser._atDataStart = false;
  const kept = keptOf(rest, parser._atDataStart);
  if (kept > 0) parser._lastBytes = rest.subarray(rest.length - kept);
  emit(parser, moved(data, to, from, data.length - kept), done);
}

/** Lines of a lone dot that the search below does not look at, because nothing is before them. */
function isGivenUpAtStart(data: Buffer, watch: LoneDotWatch): boolean {
  if (data[0] === DOT && data[1] === LF) return watch('other', data.length === 2);
  return data[0] === LF && data[1] === DOT && isGivenUp(data, 1, watch);
}

function isGivenUp(data: Buffer, dot: number, watch: LoneDotWatch): boolean {
  const isByLf = data[dot + 1] === LF;
  if (!isByLf && !(data[dot + 1] === CR && data[dot + 2] === LF)) return false;
  const kind = isByLf && data[dot - 2] !== CR ? 'LF.LF' : 'other';
  return watch(kind, dot + (isByLf ? 2 : 3) === data.length);
}

function keptOf(rest: Buffer, isAtStart: boolean): number {
  const end = rest.toString('latin1', Math.max(0, rest.length - END.length + 1));
  if (isAtStart && OPEN_STARTS.includes(end)) return end.length;
  return OPEN_ENDS.find((open) => end.endsWith(open))?.length ?? 0;
}

/** Reads on when there is room; a stream that is destroyed never drains, it only closes. */
function emit(parser: SMTPStream, content: Buffer, done: () => void): void {
  const stream = parser._dataStream;
  parser._countDataBytes(content.length);
  if (!stream?.writable || content.length === 0 || stream.write(content) || stream.destroyed) {
    done();
    return;
  }
  const goOn = () => {
    stream.off('drain', goOn);
    stream.off('close', goOn);
    done();
  };
  stream.once('drain', goOn);
  stream.once('close', goOn);
}

/** What is before `end`, with the bytes between `to` and `from` left out. */
function moved(data: Buffer, to: number, from: number, end: number): Buffer {
  if (to === from || to === 0) return data.subarray(from, end);
  data.copyWithin(to, from, end);
  return data.subarray(0, to + end - from);
}
