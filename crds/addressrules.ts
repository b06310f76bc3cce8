/** Rules for `spec.addresses`: see rules.ts. */
import type { MailRelaySpec } from './mailrelay.ts';
import { CEL_CUT_THROUGH, isCutThrough, type Rule } from './rule.ts';

const MAPS = ['sender', 'recipient'] as const;

/** True in CEL if the map of this path is absent or `holds`, where `m` is the map. */
const celOptional = (path: string, holds: string) => {
  const parts = path.split('.');
  const absent = parts.map((_, index) => `!has(self.${parts.slice(0, index + 1).join('.')})`);
  return `(${[...absent, holds.replaceAll('m.', `self.${path}.`)].join(' || ')})`;
};
const celEvery = (paths: readonly string[], holds: string) =>
  paths.map((path) => celOptional(path, holds)).join(' && ');

const MAP_PATHS = MAPS.map((name) => `addresses.${name}`);
const BCC_PATHS = MAPS.map((name) => `addresses.bcc.${name}`);

const listMaps = ({ addresses }: MailRelaySpec) => MAPS.flatMap((name) => addresses?.[name] ?? []);
const listCopies = ({ addresses }: MailRelaySpec) => MAPS.flatMap((name) => addresses?.bcc?.[name] ?? []);

export const ADDRESS_RULES: readonly Rule[] = [
  {
    path: 'spec.addresses.srs',
    wantsOne: true,
    cel: '!has(self.addresses) || !has(self.addresses.srs) || (has(self.inbound.acceptDomains) && self.addresses.srs.domain in self.inbound.acceptDomains)',
    message:
      'bounces to addresses.srs.domain would not come back: add it to inbound.acceptDomains, or use one of these domains',
    holds: ({ addresses, inbound }) =>
      addresses?.srs === undefined || (inbound.acceptDomains ?? []).includes(addresses.srs.domain),
  },
  {
    path: 'spec.addresses',
    cel: celEvery(MAP_PATHS, '!has(m.entries) || m.entries.all(e, has(e.to) != has(e.refuse))'),
    message: 'an entry of addresses says two things or nothing: give it to, or give it refuse',
    holds: (spec) =>
      listMaps(spec).every(({ entries = [] }) =>
        entries.every((entry) => (entry.to === undefined) !== (entry.refuse === undefined)),
      ),
  },
  {
    path: 'spec.addresses',
    cel: celEvery([...MAP_PATHS, ...BCC_PATHS], 'has(m.entries) || has(m.tables)'),
    message: 'a map of addresses is empty: add entries or tables, or remove the map',
    holds: (spec) =>
      [...listMaps(spec), ...listCopies(spec)].every(
        ({ entries, tables }) => entries !== undefined || tables !== undefined,
      ),
  },
  {
    path: 'spec.addresses',
    cel: celEvery(
      [...MAP_PATHS, ...BCC_PATHS],
      '!has(m.tables) || m.tables.all(t, has(t.configMapName) != has(t.secretName))',
    ),
    message: 'a table of addresses is in two objects or in none: set configMapName, or set secretName',
    holds: (spec) =>
      [...listMaps(spec), ...listCopies(spec)].every(({ tables = [] }) =>
        tables.every((table) => (table.configMapName === undefined) !== (table.secretName === undefined)),
      ),
  },
  {
    path: 'spec.addresses',
    cel: `!${CEL_CUT_THROUGH} || !has(self.addresses) || (!has(self.addresses.bcc) && ${celOptional('addresses.recipient', '!has(m.entries) || m.entries.all(e, !has(e.to) || e.to.size() == 1)')})`,
    message:
      'queue.mode CutThrough passes a message on to one recipient: remove addresses.bcc and aliases with several addresses, or use Durable',
    holds: (spec) =>
      !isCutThrough(spec) ||
      (spec.addresses?.bcc === undefined &&
        (spec.addresses?.recipient?.entries ?? []).every(({ to }) => (to ?? [1]).length === 1)),
  },
];
