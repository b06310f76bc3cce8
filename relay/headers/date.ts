/** Pure. A time as a header field has it (RFC 5322 section 3.3), in UTC. */
export function formatDate(at: Date): string {
  const second = Math.floor(at.getTime() / 1000);
  if (second !== last.second) last = { second, text: at.toUTCString().replace('GMT', '+0000') };
  return last.text;
}

/** Many messages come in one second, and the text takes longer than the rest of the field. */
let last = { second: Number.NaN, text: '' };
