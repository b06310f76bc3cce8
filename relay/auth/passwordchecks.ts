/**
 * Checks of passwords, each of which costs milliseconds of a thread. A few run at a time and the others wait for their
 * turn, up to a bound. Logins that show the same password for the same stored form at the same time share one check:
 * applications that open all their sessions at once cost few, and so does a guess that is repeated. No result is kept.
 */
import { passwordMatches } from '#crds/passwordhash.ts';
import type { PasswordHash } from '#crds/storedpassword.ts';

/** In this process. The disk needs threads too. */
const CHECKS_AT_ONCE = 2;
/** Checks that may wait for their turn, and logins that may wait for one check. */
const MOST_WAITING = 500;

interface UnderWay {
  readonly result: Promise<boolean>;
  logins: number;
}

export class PasswordChecks {
  readonly #matches: typeof passwordMatches;
  readonly #underWay = new Map<string, UnderWay>();
  #begun = 0;
  readonly #turns: Promise<unknown>[] = Array.from({ length: CHECKS_AT_ONCE }, () => Promise.resolve());

  constructor(matches = passwordMatches) {
    this.#matches = matches;
  }

  /** True if the password is that of the stored form. Undefined if too many wait. */
  check(hash: PasswordHash, password: string): Promise<boolean> | undefined {
    const key = keyOf(hash, password);
    const known = this.#underWay.get(key);
    if ((known?.logins ?? this.#underWay.size) >= MOST_WAITING) return undefined;
    if (known) {
      known.logins += 1;
      return known.result;
    }
    const result = this.#inTurn(() => this.#matches(hash, password)).finally(() =>
      this.#underWay.delete(key),
    );
    this.#underWay.set(key, { result, logins: 1 });
    return result;
  }

  #inTurn(work: () => Promise<boolean>): Promise<boolean> {
    const turn = this.#begun++ % CHECKS_AT_ONCE;
    const result = (this.#turns[turn] ?? Promise.resolve()).then(work);
    this.#turns[turn] = result.catch(() => undefined);
    return result;
  }
}

/** Each user has a salt of its own, also one that does not exist (users.ts). A changed Secret changes the key. */
function keyOf({ iterations, salt, storedKey }: PasswordHash, password: string): string {
  return `${iterations} ${salt.toString('base64')} ${storedKey.toString('base64')} ${password}`;
}
