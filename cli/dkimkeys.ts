/**
 * The DKIM keys of a manifest: which one signs, which one is only in DNS, and the next step of a roll-over. The relay
 * takes no step by itself: it cannot know when every resolver has a record that a person publishes, and a signature that
 * nobody can verify may cost mail. Pure.
 */
import { dkimName } from '#crds/dnsrecords.ts';
import type { Policy } from '#crds/policyfile.ts';

interface ListedKey {
  readonly domain: string;
  readonly selector: string;
  readonly use: 'Sign' | 'Publish';
  /** The Secret of its private half. */
  readonly secret: string;
  /** The name of its DNS record. */
  readonly record: string;
}

/** RFC 8301: at least 1024 to verify, and 2048 to sign. */
export const USUAL_BITS = 2_048;

const USES = { Sign: 'signs', Publish: 'signs nothing' } as const;

export function listKeys({ outbound }: Policy): ListedKey[] {
  return outbound.dkim.map(({ domain, selector, secret, signs }) => ({
    domain,
    selector,
    use: signs ? 'Sign' : 'Publish',
    secret,
    record: dkimName(domain, selector),
  }));
}

export function describeKeys(keys: readonly ListedKey[]): string {
  const lines = [...Map.groupBy(keys, ({ domain }) => domain)].flatMap(([domain, own]) => [
    domain,
    ...own.map(({ selector, use, record }) => `  ${selector.padEnd(20)} ${USES[use]}; ${record}`),
    ...describeNextSteps(own).map((step) => `  ${step}`),
  ]);
  return `${lines.length > 0 ? lines.join('\n') : 'No key: outbound.dkim is empty'}\n`;
}

/** A line for each key, the columns apart by tabs. */
export function describeWideKeys(keys: readonly ListedKey[]): string {
  const rows = keys.map(({ domain, selector, use, record, secret }) => [
    domain,
    selector,
    use,
    record,
    secret,
  ]);
  return [['DOMAIN', 'SELECTOR', 'USE', 'RECORD', 'SECRET'], ...rows]
    .map((row) => `${row.join('\t')}\n`)
    .join('');
}

/** The manifest does not tell whether a key that does not sign comes or goes. */
function describeNextSteps(keys: readonly ListedKey[]): string[] {
  const listSelectors = (use: ListedKey['use']) =>
    keys.flatMap((key) => (key.use === use ? [key.selector] : [])).join(', ');
  const [signing, published] = [listSelectors('Sign'), listSelectors('Publish')];
  if (published === '') return ['next: make a key for another selector, and add it with use: Publish'];
  return [
    `if ${published} comes: when its record is in DNS for a time to live, set use: Sign for it and use: Publish for ${signing}`,
    `if ${published} goes: remove it a week after its last signature, because mail may be under way until then`,
  ];
}
