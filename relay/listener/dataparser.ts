/**
 * A faster way through message data for the library's parser. The library checks each byte. This file uses a native
 * search for lines that begin with a dot. The state between chunks and the end of a message are the same.
 * dataparser.test.ts compares both, because these parts of the library are private.
 */
import type { SMTPStream } from 'smtp-server/lib/smtp-stream.js';

const DOT = 0x2e;
const CR = 0x0d;
const LF = 0x0a;
const LINE_WITH_DOT = Buffer.from('\n.');
const END = Buffer.from('\r\n.\r\n');
const END_AT_START = END.subarray(2);
/** Lines with a single dot that do not end the message, although the sender may think so. */
export type LoneDot = 'LF.LF' | 'other';

/**
 * Called for each such line. `isLast`: no bytes follow yet. Returning true ends the session, and nothing more is read.
 */
type LoneDotWatch = (kind: LoneDot, isLast: boolean) => boolean;

/**
 * Ends of a chunk that only the next chunk explains, longest first. Most chunks end within a line and are passed on
 * whole.
 */
const OPEN_ENDS = ['\r\n.\r', '\r\n.', '\n.\r', '\r\n', '\n.', '\r', '\n'];
const OPEN_STARTS = ['.\r', '.'];

/** Replaces the parser's own `_feedDataStream`. */
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
  // Nobody else uses these bytes. A dot is removed by moving the bytes after it, which needs no second buffer.
  let [from, to] = [isStuffedAtStart ? 1 : 0, 0];
  // Bytes kept from an earlier chunk begin with the line break. The first bytes of a message do not.
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
  // From here on a dot is content, wherever the rest is cut.
  if (isStuffedAtStart) parser._atDataStart = false;
  const kept = countKept(rest, parser._atDataStart);
  if (kept > 0) parser._lastBytes = rest.subarray(rest.length - kept);
  emit(parser, moved(data, to, from, data.length - kept), done);
}

/** Lines with a single dot at the very start. The search below does not see them, because no byte is before them. */
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

function countKept(rest: Buffer, isAtStart: boolean): number {
  const end = rest.toString('latin1', Math.max(0, rest.length - END.length + 1));
  if (isAtStart && OPEN_STARTS.includes(end)) return end.length;
  return OPEN_ENDS.find((open) => end.endsWith(open))?.length ?? 0;
}

/** Continues when the stream has room. A destroyed stream never drains, it only closes. */
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

/** The bytes before `end`, without those between `to` and `from`. */
function moved(data: Buffer, to: number, from: number, end: number): Buffer {
  if (to === from || to === 0) return data.subarray(from, end);
  data.copyWithin(to, from, end);
  return data.subarray(0, to + end - from);
}
