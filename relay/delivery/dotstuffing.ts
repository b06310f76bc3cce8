/** Dot stuffing of the body of a message (RFC 5321 section 4.5.2). Pure. */

const LINE_WITH_DOT = Buffer.from('\n.');
const LF = 0x0a;
/** Each part is one write. For a message that is full of dots one copy is cheaper than so many writes. */
const MANY_PARTS = 100;

export function endsLine(bytes: Buffer): boolean {
  return bytes.at(-1) === LF;
}

/**
 * Dot-stuffing by RFC 5321 section 4.5.2, with a native search: queued messages contain only CRLF line ends. Returns
 * parts of the chunk itself, because a few dots do not justify a second copy of the message.
 */
export function dotStuffed(chunk: Buffer, startsLine: boolean): Buffer[] {
  const parts: Buffer[] = startsLine && chunk[0] === LINE_WITH_DOT[1] ? [LINE_WITH_DOT.subarray(1)] : [];
  let from = 0;
  for (let at = chunk.indexOf(LINE_WITH_DOT); at !== -1; at = chunk.indexOf(LINE_WITH_DOT, from)) {
    // The dot ends one part and begins the next part.
    parts.push(chunk.subarray(from, at + LINE_WITH_DOT.length));
    from = at + 1;
  }
  parts.push(chunk.subarray(from));
  return parts.length > MANY_PARTS ? [Buffer.concat(parts)] : parts;
}
