/**
 * The record `_smtp._tls.<domain>` (RFC 8460 section 3): where the reports of a domain go. Anybody may publish anything,
 * so only addresses of a plain form count, and only a few of them. Pure.
 */

export type Target =
  | { readonly kind: 'https'; readonly url: string }
  | { readonly kind: 'mail'; readonly address: string };

/** RFC 7489 section 12.1 has the same number for a like record. */
const MOST_TARGETS = 2;
const LONGEST_URL = 500;
const ADDRESS =
  /^[a-z0-9.!#$&'*+/=?^_`{|}~-]{1,64}@[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$/i;

/** The targets of the report, as they stand in the record. Empty: the domain wants no reports. */
export function readTargets(records: readonly string[][]): string[] {
  const ours = records
    .map((strings) => strings.join(''))
    .filter((text) => /^v=TLSRPTv1[ \t]*(;|$)/.test(text));
  const [text] = ours;
  // Several records count as none.
  if (text === undefined || ours.length > 1) return [];
  const uris = text
    .split(';')
    .slice(1)
    .flatMap((field) => /^[ \t]*rua=(.*)$/s.exec(field)?.[1]?.split(',') ?? [])
    .map((uri) => uri.trim());
  return [...new Set(uris)].filter((uri) => parseTarget(uri) !== undefined).slice(0, MOST_TARGETS);
}

export function parseTarget(uri: string): Target | undefined {
  if (uri.length > LONGEST_URL) return undefined;
  const mail = /^mailto:([^?]+)/i.exec(uri)?.[1];
  if (mail !== undefined) {
    const address = decode(mail);
    return address !== undefined && ADDRESS.test(address) ? { kind: 'mail', address } : undefined;
  }
  if (!/^https:\/\//i.test(uri) || !URL.canParse(uri)) return undefined;
  const { username, password, href, hash } = new URL(uri);
  return username === '' && password === '' && hash === '' ? { kind: 'https', url: href } : undefined;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
