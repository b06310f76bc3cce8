/**
 * Which addresses a relay passes on. Other servers read `%`, `!` and quoted `@` as routing instructions, so an address
 * that means one thing to us may mean another to the next hop: such forms are refused rather than guessed at. Pure.
 */

/** The domain in lower case, without a trailing dot; undefined when the address must not be relayed. */
export function relayableDomain(address: string): string | undefined {
  const at = address.lastIndexOf('@');
  if (at <= 0 || !isPlainLocalPart(address.slice(0, at)) || address.includes('\uFFFD')) return undefined;
  const domain = address
    .slice(at + 1)
    .toLowerCase()
    .replace(/\.$/, '');
  return domain === '' ? undefined : domain;
}

function isPlainLocalPart(local: string): boolean {
  return !/[%!@\\\s:;,<>]/.test(local);
}

/**
 * The raw argument of MAIL or RCPT, as bytes: ill-formed UTF-8 and source routes are refused before the library turns
 * the first into U+FFFD and strips the second silently.
 */
export function rawPathIsPlain(command: Buffer): boolean {
  const text = command.toString('latin1');
  if (/:\s*<@/.test(text)) return false;
  return command.equals(Buffer.from(command.toString('utf8'), 'utf8'));
}
