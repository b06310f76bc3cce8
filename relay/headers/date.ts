/** Pure. A time as a header field has it (RFC 5322 section 3.3), in UTC. */
export function formatDate(at: Date): string {
  return at.toUTCString().replace('GMT', '+0000');
}
