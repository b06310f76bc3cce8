/**
 * The names of a client certificate, and a test whether one of them is allowed. Names come only from the subject
 * alternative names. The common name is ignored (RFC 9525 section 2). Pure.
 */

/** `subjectAltName` in Node's form: `DNS:a.example, email:b@example, URI:"..."`, with JSON quotes where needed. */
export function namesOfCertificate(subjectAltName: string | undefined): string[] {
  const names: string[] = [];
  const entry = /(DNS|email|URI):("(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)|[^,]*(?:, |$)/gy;
  const text = subjectAltName ?? '';
  for (let match = entry.exec(text); match && match[0] !== ''; match = entry.exec(text)) {
    const name = unquoted(match[2]);
    if (name !== undefined && name !== '') names.push(match[1] === 'DNS' ? name.toLowerCase() : name);
  }
  return names;
}

/** A name matches exactly, or `*.example.com` matches hosts one label below (RFC 9525 section 6.3). */
export function nameIsAllowed(names: readonly string[], allowed: readonly string[]): boolean {
  return names.some((name) =>
    allowed.some((pattern) =>
      pattern.startsWith('*.') ? isOneBelow(name, pattern.slice(2).toLowerCase()) : name === spelled(pattern),
    ),
  );
}

/** Host names ignore case. A URI or an address must match exactly. */
function spelled(pattern: string): string {
  return /[@:]/.test(pattern) ? pattern : pattern.toLowerCase();
}

function isOneBelow(name: string, parent: string): boolean {
  const dot = name.indexOf('.');
  return dot > 0 && name.slice(dot + 1) === parent && /^[a-z0-9-]+$/.test(name.slice(0, dot));
}

/** Undefined if the quoting is broken, because such a name cannot be trusted. */
function unquoted(value: string | undefined): string | undefined {
  if (value === undefined || !value.startsWith('"')) return value;
  try {
    return JSON.parse(value) as string;
  } catch {
    return undefined;
  }
}
