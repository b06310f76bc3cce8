/**
 * The users of a Secret: each file is a user, its text the stored form of the password; or a list, a line
 * `USER:STORED FORM` each, for names that cannot be keys of a Secret (joe@example.com). What is neither is a fault, told
 * by the name of the user or the file and never by its text, and nobody logs in by it. For users that do not exist
 * there is a decoy, so that neither time nor a SCRAM challenge tells who does.
 */
import { createHmac } from 'node:crypto';
import { DEFAULT_ITERATIONS, type PasswordHash, parsePasswordHash } from '#crds/passwordhash.ts';
import type { Files } from '../task/materials.ts';

export class Users {
  readonly #hashes = new Map<string, PasswordHash>();
  readonly #secret: Buffer;
  readonly #ring: readonly { readonly at: string; readonly iterations: number }[];
  /** Users, and lists with a line, whose text is no stored password. */
  readonly faults: readonly string[];

  constructor(files: Files) {
    const faults: string[] = [];
    for (const [name, text] of Object.entries(files).flatMap(entriesOf)) {
      const hash = parsePasswordHash(text);
      if (hash) this.#hashes.set(name, hash);
      else faults.push(name);
    }
    this.faults = faults;
    const [, first] = [...this.#hashes].toSorted(([a], [b]) => (a < b ? -1 : 1))[0] ?? [];
    // The same in every process and pod, and after a restart: a salt that changes would tell a decoy by it.
    this.#secret = first?.serverKey ?? Buffer.alloc(0);
    this.#ring = [...this.#hashes]
      .map(([name, { iterations }]) => ({ at: this.#bytes('place', name).toString('hex'), iterations }))
      .toSorted((a, b) => (a.at < b.at ? -1 : 1));
  }

  /** `exists` must only be looked at after the work is done that a login costs. */
  find(name: string): { exists: boolean; hash: PasswordHash } {
    const hash = this.#hashes.get(name);
    return hash ? { exists: true, hash } : { exists: false, hash: this.#decoyFor(name) };
  }

  /** Always the same for a name, as a real one would be. */
  #decoyFor(name: string): PasswordHash {
    return {
      iterations: this.#iterationsFor(name),
      salt: this.#bytes('salt', name).subarray(0, 16),
      storedKey: this.#bytes('stored', name),
      serverKey: this.#bytes('server', name),
    };
  }

  /** Those of the next user on a ring of hashes: as mixed as the real ones, and few change with the users. */
  #iterationsFor(name: string): number {
    const place = this.#bytes('place', name).toString('hex');
    const next = this.#ring.find(({ at }) => at >= place) ?? this.#ring[0];
    return next?.iterations ?? DEFAULT_ITERATIONS;
  }

  #bytes(what: string, name: string): Buffer {
    return createHmac('sha256', this.#secret).update(`${what} ${name}`).digest();
  }
}

/** User and stored form, of each that a file of the Secret has. */
function entriesOf([file, text]: [string, string]): [string, string][] {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  const parts = lines.map((line): [string, string] => {
    const [, user, stored] = /^([^:]+):(SCRAM-SHA-256\$.*)$/.exec(line) ?? [];
    return user === undefined || stored === undefined ? [file, ''] : [user, stored];
  });
  return parts.some(([, stored]) => stored !== '') ? parts : [[file, text]];
}
