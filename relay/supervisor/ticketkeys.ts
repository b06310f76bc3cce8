/**
 * The keys of session tickets of one relay, the same in all its listener processes: a new one every four hours, and the
 * one before it for four hours more, which is longer than a ticket is good for. Whoever gets hold of a key can read the
 * sessions of a few hours and no others. Never on disk.
 */
import { randomBytes } from 'node:crypto';

const EVERY_MS = 4 * 3_600_000;
/** A name, and keys for HMAC and AES, of 16 bytes each. */
const BYTES = 48;

export class TicketKeys {
  #newest = newKey();
  #before: readonly string[] = [];

  /** `onChange` is called each time there is a new one. */
  constructor(everyMs: number | undefined, onChange: (keys: readonly string[]) => void) {
    const change = () => {
      this.#before = [this.#newest];
      this.#newest = newKey();
      onChange(this.current);
    };
    setInterval(change, everyMs ?? EVERY_MS).unref();
  }

  /** In base64, the newest first. */
  get current(): readonly string[] {
    return [this.#newest, ...this.#before];
  }
}

function newKey(): string {
  return randomBytes(BYTES).toString('base64');
}
