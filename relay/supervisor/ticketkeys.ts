/**
 * The keys for session tickets of one relay, shared by all its listener processes. There is a new key every four hours.
 * The key before it stays valid for four more hours, which is longer than the life of a ticket. A stolen key opens the
 * sessions of a few hours only. Keys are never on disk.
 */
import { randomBytes } from 'node:crypto';

const EVERY_MS = 4 * 3_600_000;
/** Three parts of 16 bytes: a name, the HMAC key and the AES key. */
const BYTES = 48;

export class TicketKeys {
  #newest = newKey();
  #before: readonly string[] = [];

  /** `onChange` is called for each new key. */
  constructor(everyMs: number | undefined, onChange: (keys: readonly string[]) => void) {
    const change = () => {
      this.#before = [this.#newest];
      this.#newest = newKey();
      onChange(this.current);
    };
    setInterval(change, everyMs ?? EVERY_MS).unref();
  }

  /** In base64, newest first. */
  get current(): readonly string[] {
    return [this.#newest, ...this.#before];
  }
}

function newKey(): string {
  return randomBytes(BYTES).toString('base64');
}
