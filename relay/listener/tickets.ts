/**
 * The keys for session tickets (RFC 5077 section 4). The newest key encrypts, all keys decrypt, and a ticket of an
 * older key is renewed. Node's option takes only one key. Node's hook for several keys is not documented, so the test
 * of this file pins it. The hook ends the process unless each answer contains complete buffers, so every answer here
 * contains them.
 */
import { randomBytes } from 'node:crypto';
import type { SecureContext } from 'node:tls';

/** As in OpenSSL: SSL_CTX_set_tlsext_ticket_key_evp_cb. */
const UNKNOWN = 0;
const GOOD = 1;
const RENEW = 2;
const PART = 16;
/** Random bytes are drawn for so many tickets at once: one draw costs as much for 16 bytes as for thousands. */
const TICKETS_A_DRAW = 256;

interface TicketHook {
  enableTicketKeyCallback(): void;
  onticketkeycallback: (name: Buffer, iv: Buffer, encrypts: boolean) => readonly [number, ...Buffer[]];
}

interface TicketKey {
  readonly name: Buffer;
  readonly hmac: Buffer;
  readonly aes: Buffer;
}

export class TicketKeyRing {
  #keys: readonly [TicketKey, ...TicketKey[]];
  #drawn = Buffer.alloc(0);

  /** Keys of 48 bytes in base64, newest first. Without keys, the ring makes its own. */
  constructor(keys: readonly string[]) {
    this.#keys = parseRing(keys);
  }

  /** Sets the keys for new tickets, in every context that has this ring. */
  use(keys: readonly string[]): void {
    this.#keys = parseRing(keys);
  }

  giveTo(context: SecureContext): void {
    const hook = context.context as TicketHook;
    hook.enableTicketKeyCallback();
    hook.onticketkeycallback = (name, _iv, encrypts) => {
      const [newest] = this.#keys;
      if (encrypts) return [GOOD, newest.hmac, newest.aes, newest.name, this.#takeIv()];
      const key = this.#keys.find((one) => one.name.equals(name));
      if (!key) return [UNKNOWN, newest.hmac, newest.aes];
      return [key === newest ? GOOD : RENEW, key.hmac, key.aes];
    };
  }

  /** Never the same bytes twice. */
  #takeIv(): Buffer {
    if (this.#drawn.length === 0) this.#drawn = randomBytes(TICKETS_A_DRAW * PART);
    const iv = this.#drawn.subarray(0, PART);
    this.#drawn = this.#drawn.subarray(PART);
    return iv;
  }
}

function parseRing(keys: readonly string[]): readonly [TicketKey, ...TicketKey[]] {
  const [first = randomBytes(3 * PART), ...rest] = keys.map((key) => Buffer.from(key, 'base64'));
  return [splitKey(first), ...rest.map(splitKey)];
}

function splitKey(key: Buffer): TicketKey {
  if (key.length !== 3 * PART) throw new TypeError(`a ticket key has ${3 * PART} bytes`);
  return {
    name: key.subarray(0, PART),
    hmac: key.subarray(PART, 2 * PART),
    aes: key.subarray(2 * PART),
  };
}
