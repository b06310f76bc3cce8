/**
 * The file of the history: SQLite, apart from the queue, because it may be large and may be lost. It is written without
 * syncs, so a power loss costs its last moments. Every error is thrown with SQLite's code.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { cutText } from '#crds/cut.ts';
import { listDiscarded, type MailEvent } from '../queue/mailevent.ts';
import { oldestQueueId, type QueueRecord, timeOfQueueId } from '../spool/record.ts';
import { type HistoryEntry, type HistoryQuery, keyAddress, MOST_COUNTED } from './entry.ts';
import { translate } from './query.ts';

const FORMAT = 1;
const PAGE_BYTES = 4_096;
/** Its indexes are written in no order. With the 2 MiB of SQLite's default a batch writes the same pages again and again. */
const CACHE_KIB = 8_192;
const TEXT_LENGTH = 500;
/** Messages that are forgotten in one step. */
const SLICE = 200;
/** Of one message. */
const MOST_ANSWERS = 2_000;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS messages (
    id TEXT PRIMARY KEY, sender TEXT NOT NULL, sender_key TEXT NOT NULL, message_id TEXT, bytes INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS messages_by_sender ON messages (sender_key);
  CREATE INDEX IF NOT EXISTS messages_by_message_id ON messages (message_id) WHERE message_id IS NOT NULL;
  CREATE TABLE IF NOT EXISTS recipients (
    id TEXT NOT NULL, address TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (id, address)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS recipients_by_key ON recipients (key);
  CREATE TABLE IF NOT EXISTS answers (
    id TEXT NOT NULL, at INTEGER NOT NULL, address TEXT NOT NULL, result TEXT NOT NULL, hop TEXT, text TEXT NOT NULL
  );
  CREATE INDEX IF NOT EXISTS answers_by_id ON answers (id);
  CREATE TABLE IF NOT EXISTS originals (
    id TEXT NOT NULL, role TEXT NOT NULL, address TEXT NOT NULL, original TEXT NOT NULL, key TEXT NOT NULL,
    PRIMARY KEY (id, role, address, original)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS originals_by_key ON originals (key);
  PRAGMA user_version = ${FORMAT};`;

export interface Envelope {
  readonly id: string;
  readonly record: Pick<
    QueueRecord,
    'from' | 'givenFrom' | 'reportsTo' | 'recipients' | 'discarded' | 'receivedAt' | 'bytes' | 'messageId'
  >;
}

export class HistoryTable {
  readonly #database: DatabaseSync;
  readonly #message: StatementSync;
  readonly #recipient: StatementSync;
  readonly #answer: StatementSync;
  readonly #original: StatementSync;

  constructor(path: string) {
    this.#database = new DatabaseSync(path);
    try {
      this.#database.exec(
        `PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -${CACHE_KIB}`,
      );
      const { user_version: format } = this.#one('PRAGMA user_version');
      if (format !== 0 && format !== FORMAT)
        throw Object.assign(new Error(`format ${format}`), { errcode: 26 });
      this.#database.exec(SCHEMA);
      const insert = (table: string, values: number) =>
        this.#database.prepare(
          `INSERT OR IGNORE INTO ${table} VALUES (${Array.from({ length: values }, () => '?').join()})`,
        );
      this.#message = insert('messages', 5);
      this.#recipient = insert('recipients', 3);
      // An answer of a message that is forgotten would be found by nothing, and forgotten with nothing.
      this.#answer = this.#database.prepare(
        'INSERT OR IGNORE INTO answers SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM messages WHERE id = ?1)',
      );
      this.#original = insert('originals', 5);
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  /** All of it, or nothing. A message that is known stays as it is. */
  write(envelopes: readonly Envelope[], events: readonly MailEvent[]): void {
    this.#database.exec('BEGIN');
    try {
      for (const envelope of envelopes) this.#putMessage(envelope);
      for (const event of events) this.#putAnswer(event);
      this.#database.exec('COMMIT');
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  /** The newest first. `isQueued` tells what the queue still has. */
  *find(query: HistoryQuery, isQueued: (id: string) => boolean): Generator<HistoryEntry> {
    const { where, values } = translate(query);
    const messages = this.#database
      .prepare(`SELECT id, sender, message_id, bytes FROM messages m ${where} ORDER BY id DESC LIMIT ?`)
      .all(...values, query.most) as unknown as MessageRow[];
    const recipients = this.#database.prepare('SELECT address FROM recipients WHERE id = ?');
    const answers = this.#database.prepare(
      `SELECT at, address, result, hop, text FROM answers WHERE id = ? ORDER BY rowid LIMIT ${MOST_ANSWERS}`,
    );
    const originals = this.#database.prepare('SELECT role, address, original FROM originals WHERE id = ?');
    for (const message of messages) {
      const { id } = message;
      yield makeEntry(
        message,
        {
          recipients: recipients.all(id) as { address: string }[],
          answers: answers.all(id) as unknown as AnswerRow[],
          originals: originals.all(id) as unknown as OriginalRow[],
        },
        isQueued(id),
      );
    }
  }

  count(query: HistoryQuery): number {
    const { where, values } = translate(query);
    const { count } = this.#database
      .prepare(`SELECT count(*) AS count FROM (SELECT 1 FROM messages m ${where} LIMIT ?)`)
      .get(...values, MOST_COUNTED + 1) as { count: number };
    return count;
  }

  /** Forgets some of the messages that came before this time. True if there may be more of them. */
  forgetBefore(time: number): boolean {
    return this.#forgetOldest('WHERE id < ?', [oldestQueueId(time)]);
  }

  /** Forgets the oldest messages, whatever their age. True if there may be more of them. */
  forgetSome(): boolean {
    return this.#forgetOldest('', []);
  }

  /** Without the pages that are free. */
  get bytes(): number {
    const { page_count: pages = 0 } = this.#one('PRAGMA page_count');
    const { freelist_count: free = 0 } = this.#one('PRAGMA freelist_count');
    return (pages - free) * PAGE_BYTES;
  }

  close(): void {
    this.#database.close();
  }

  #putMessage({ id, record }: Envelope): void {
    const { from, bytes, messageId, recipients, givenFrom, reportsTo, discarded = [] } = record;
    const { changes } = this.#message.run(id, from, keyAddress(from), messageId ?? null, bytes);
    if (changes === 0) return;
    for (const original of [givenFrom, reportsTo])
      if (original !== undefined) this.#putOriginal(id, 'sender', from, original);
    for (const { address, given = [] } of [...recipients, ...discarded]) {
      this.#recipient.run(id, address, keyAddress(address));
      for (const original of given) this.#putOriginal(id, 'recipient', address, original);
    }
    for (const event of listDiscarded(id, record)) this.#putAnswer(event);
  }

  #putOriginal(id: string, role: OriginalRow['role'], address: string, original: string): void {
    this.#original.run(id, role, address, original, keyAddress(original));
  }

  #putAnswer({ id, at, to, kind, hop, text }: MailEvent): void {
    this.#answer.run(id, at, to, kind, hop, cutText(text, TEXT_LENGTH));
  }

  /** Ids are in the order of time in all tables, so this is cheap. */
  #forgetOldest(where: string, values: readonly string[]): boolean {
    const { last, count } = this.#database
      .prepare(
        `SELECT max(id) AS last, count(*) AS count FROM (SELECT id FROM messages ${where} ORDER BY id LIMIT ${SLICE})`,
      )
      .get(...values) as { last: string | null; count: number };
    if (last === null) return false;
    this.#database.exec('BEGIN');
    for (const table of ['messages', 'recipients', 'answers', 'originals'])
      this.#database.prepare(`DELETE FROM ${table} WHERE id <= ?`).run(last);
    this.#database.exec('COMMIT');
    return count === SLICE;
  }

  #one(pragma: string): Readonly<Record<string, number>> {
    return this.#database.prepare(pragma).get() as Record<string, number>;
  }
}

interface MessageRow {
  readonly id: string;
  readonly sender: string;
  readonly message_id: string | null;
  readonly bytes: number;
}

interface AnswerRow {
  readonly at: number;
  readonly address: string;
  readonly result: MailEvent['kind'];
  readonly hop: string | null;
  readonly text: string;
}

interface OriginalRow {
  readonly role: 'sender' | 'recipient';
  readonly address: string;
  readonly original: string;
}

interface Rows {
  readonly recipients: readonly { address: string }[];
  readonly answers: readonly AnswerRow[];
  readonly originals: readonly OriginalRow[];
}

function makeEntry(
  { id, sender, message_id: messageId, bytes }: MessageRow,
  { recipients, answers, originals }: Rows,
  isQueued: boolean,
): HistoryEntry {
  const originalFrom = listOriginals(originals, 'sender', sender);
  return {
    id,
    from: sender,
    ...(originalFrom.length === 0 ? {} : { originalFrom }),
    received: instant(timeOfQueueId(id)),
    bytes,
    ...(messageId === null ? {} : { messageId }),
    recipients: recipients.map(({ address }) => {
      const mine = answers.filter((one) => one.address === address);
      const end = mine.findLast(({ result }) => result !== 'deferred')?.result;
      const originalTo = listOriginals(originals, 'recipient', address);
      return {
        address,
        ...(originalTo.length === 0 ? {} : { originalTo }),
        state: end === undefined || end === 'deferred' ? (isQueued ? 'queued' : 'gone') : end,
        answers: mine.map(({ at, result, hop, text }) => ({
          time: instant(at),
          result,
          ...(hop === null ? {} : { hop }),
          text,
        })),
      };
    }),
  };
}

function listOriginals(rows: readonly OriginalRow[], role: OriginalRow['role'], of: string): string[] {
  return rows.flatMap((row) => (row.role === role && row.address === of ? [row.original] : []));
}

function instant(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
