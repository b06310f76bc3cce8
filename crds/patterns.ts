/**
 * Patterns of domains and senders in the manifest: `example.com` is only that domain, `*.example.com` is every domain
 * below it, and `a@example.com` is one address. Routes, restrictions and the trace use the same matcher. Pure.
 */
export type Matcher = (address: string) => boolean;

/** Returns a matcher of addresses. It compares domains, and local parts of address patterns, without regard to case. */
export function compilePatterns(patterns: readonly string[]): Matcher {
  const exact = new Set(patterns.filter((pattern) => !pattern.startsWith('*.')).map(lower));
  const below = new Set(
    patterns.filter((pattern) => pattern.startsWith('*.')).map((pattern) => lower(pattern.slice(2))),
  );
  if (exact.size + below.size === 0) return () => false;
  return (address) => {
    const whole = lower(address);
    const domain = domainOf(whole);
    return exact.has(domain) || (domainAt(whole) > 0 && exact.has(whole)) || isBelow(domain, below);
  };
}

/**
 * The domain of an address as the relay writes it, in lower case and without a final dot. A text without a domain is a
 * domain already.
 */
export function domainOf(address: string): string {
  return lower(address.slice(domainAt(address))).replace(/\.$/, '');
}

/**
 * Where the domain of an address begins, as the relay writes it (relay/addresses/address.ts). 0: it has none. Quotes
 * belong to a local part, and a domain has none, so what ends with them is a local part alone.
 */
export function domainAt(address: string): number {
  return address.endsWith('"') ? 0 : address.lastIndexOf('@') + 1;
}

function isBelow(domain: string, parents: ReadonlySet<string>): boolean {
  if (parents.size === 0) return false;
  for (let dot = domain.indexOf('.'); dot !== -1; dot = domain.indexOf('.', dot + 1)) {
    if (parents.has(domain.slice(dot + 1))) return true;
  }
  return false;
}

function lower(text: string): string {
  return text.toLowerCase();
}
