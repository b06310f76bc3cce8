/** A query of the history as SQL: the condition on the messages, and its values. */
import { oldestQueueId } from '../spool/record.ts';
import { type HistoryQuery, keyWanted } from './entry.ts';

/** Where an address is looked for: as it is, and as the client gave it. Each table has the id of the message. */
const SENDERS = [
  ['messages', 'sender_key', ''],
  ['originals', 'key', " AND role = 'sender'"],
] as const;
const RECIPIENTS = [
  ['recipients', 'key', ''],
  ['originals', 'key', " AND role = 'recipient'"],
] as const;

/**
 * The condition on the messages, as SQL. An address may have very many messages, and an id has few: beside an id only its
 * messages are looked through for the address, and the sign before a column keeps SQLite from the index of addresses.
 */
export function translate({ id, messageId, sender, recipient, address, after, before }: HistoryQuery) {
  const conditions: { sql: string; values: readonly string[] }[] = [];
  const add = (sql: string, ...values: string[]) => conditions.push({ sql, values });
  const addAddress = (text: string, places: readonly (readonly [string, string, string])[]) => {
    const fits = fitAddress(text);
    const isFew = id !== undefined || messageId !== undefined;
    const looks = places.map(([table, column, more]) =>
      isFew
        ? `EXISTS (SELECT 1 FROM ${table} t WHERE t.id = m.id AND ${fits.sql(`+t.${column}`)}${more})`
        : `SELECT id FROM ${table} WHERE ${fits.sql(column)}${more}`,
    );
    const sql = isFew ? `(${looks.join(' OR ')})` : `id IN (${looks.join(' UNION ')})`;
    add(sql, ...places.flatMap(() => fits.values));
  };
  if (id !== undefined) add('id = ?', id);
  if (messageId !== undefined) add('message_id = ?', messageId.replace(/^<|>$/g, ''));
  if (sender !== undefined) addAddress(sender, SENDERS);
  if (recipient !== undefined) addAddress(recipient, RECIPIENTS);
  if (address !== undefined) addAddress(address, [...SENDERS, ...RECIPIENTS]);
  if (after !== undefined) add('id >= ?', oldestQueueId(after));
  if (before !== undefined) add('id < ?', oldestQueueId(before));
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.map(({ sql }) => sql).join(' AND ')}`;
  return { where, values: conditions.flatMap(({ values }) => values) };
}

interface Fits {
  readonly sql: (column: string) => string;
  readonly values: readonly string[];
}

/** A domain stands for all its addresses: their keys lie between "domain@" and "domainA", the next character. */
function fitAddress(text: string): Fits {
  const key = keyWanted(text);
  if (!key.endsWith('@')) return { sql: (column) => `${column} = ?`, values: [key] };
  const next = `${key.slice(0, -1)}A`;
  return { sql: (column) => `${column} >= ? AND ${column} < ?`, values: [key, next] };
}
