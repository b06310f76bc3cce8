/**
 * The users of a Secret. A file is one user: its name is the user name and its text is the stored password. Or a file is
 * a list with one line `USER:STORED FORM` for each user, for names that cannot be keys of a Secret (joe@example.com).
 * Behind the stored password may follow the senders that the user may use, with blanks or commas between them; as in
 * Postfix's tables, a line that begins with a blank continues the one before. Any other text is a fault. A fault names
 * the user or the file and never the text, and gives no login. An unknown user gets a decoy, so neither time nor a SCRAM
 * challenge shows which users exist. Pure.
 */
import { createHmac } from 'node:crypto';
import { DEFAULT_ITERATIONS, type PasswordHash, parsePasswordHash } from '#crds/storedpassword.ts';
import { compileSenders, type SenderMatcher } from '../addresses/senders.ts';
import type { Files } from '../task/materials.ts';

/** A client that has logged in. */
export interface Login {
  /** The user name, or the subject of a token. */
  readonly name: string;
  /** The Secret that has the user, or the issuer of the token. Two of them share no user, though names are equal. */
  readonly source: string | null;
  /** What the Secret of users says at the time of the login. null: it says nothing. */
  readonly senders: SenderMatcher | null;
}

interface User {
  readonly hash: PasswordHash;
  /** null: any sender. */
  readonly senders: SenderMatcher | null;
}

/** Without the work that decoys cost. */
export function readUsers(files: Files): { users: ReadonlyMap<string, User>; faults: readonly string[] } {
  const users = new Map<string, User>();
  const faults: string[] = [];
  for (const [name, text] of Object.entries(files).flatMap(readEntries)) {
    const user = readUser(text);
    if (user) users.set(name, user);
    else faults.push(name);
  }
  return { users, faults };
}

export class Users {
  readonly #users: ReadonlyMap<string, User>;
  readonly #secret: Buffer;
  readonly #ring: readonly { readonly at: string; readonly iterations: number }[];
  /** Users and lists whose text is no stored password, or is followed by something that is no sender. */
  readonly faults: readonly string[];

  constructor(files: Files) {
    const { users, faults } = readUsers(files);
    this.#users = users;
    this.faults = faults;
    const [, first] = [...this.#users].toSorted(([a], [b]) => (a < b ? -1 : 1))[0] ?? [];
    // The secret is the same in every process and pod and after a restart. A changing salt would show that a user is a
    // decoy.
    this.#secret = first?.hash.serverKey ?? Buffer.alloc(0);
    this.#ring = [...this.#users]
      .map(([name, { hash }]) => ({
        at: this.#bytes('place', name).toString('hex'),
        iterations: hash.iterations,
      }))
      .toSorted((a, b) => (a.at < b.at ? -1 : 1));
  }

  /** Read `exists` only after the work that a login costs. The decoy is made for a real user too, so both take as long. */
  find(name: string): User & { exists: boolean } {
    const decoy = { hash: this.#decoyFor(name), senders: null };
    const user = this.#users.get(name);
    return { exists: user !== undefined, ...(user ?? decoy) };
  }

  /** Always the same for one name, as for a real user. */
  #decoyFor(name: string): PasswordHash {
    return {
      iterations: this.#iterationsFor(name),
      salt: this.#bytes('salt', name).subarray(0, 16),
      storedKey: this.#bytes('stored', name),
      serverKey: this.#bytes('server', name),
    };
  }

  /**
   * The iteration count of the next user on a ring of hashes. So decoys have the same mix as real users, and few of
   * them change when users change.
   */
  #iterationsFor(name: string): number {
    const place = this.#bytes('place', name).toString('hex');
    const next = this.#ring.find(({ at }) => at >= place) ?? this.#ring[0];
    return next?.iterations ?? DEFAULT_ITERATIONS;
  }

  #bytes(what: string, name: string): Buffer {
    return createHmac('sha256', this.#secret).update(`${what} ${name}`).digest();
  }
}

/** User name and stored form of each user in a file of the Secret. */
function readEntries([file, text]: [string, string]): [string, string][] {
  const lines = text
    .replace(/\r?\n[ \t]+/g, ' ')
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '');
  const parts = lines.map((line): [string, string] => {
    const [, user, stored] = /^([^:]+):(SCRAM-SHA-256\$.*)$/.exec(line) ?? [];
    return user === undefined || stored === undefined ? [file, ''] : [user, stored];
  });
  return parts.some(([, stored]) => stored !== '') ? parts : [[file, text]];
}

/** The stored password, and the senders behind it. Undefined if one of them cannot be read. */
function readUser(text: string): User | undefined {
  const [stored = '', ...patterns] = text.split(/[\s,]+/).filter((word) => word !== '');
  const hash = parsePasswordHash(stored);
  const senders = compileSenders(patterns);
  if (!hash || !senders) return undefined;
  return { hash, senders: patterns.length === 0 ? null : senders };
}
