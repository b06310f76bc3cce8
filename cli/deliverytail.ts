/**
 * The last deliveries, read from the log file of a running relay as it grows. The router writes these lines, in another
 * process. When the log grows faster than it is read, the lines between are passed over.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const EVENTS = ['delivered', 'deferred', 'bounced'] as const;
const MOST_KEPT = 50;
const MOST_READ = 256 * 1024;

/** With addresses as spec.logging.addresses wants them. */
export interface LoggedDelivery {
  /** RFC 3339. */
  readonly time: string;
  readonly event: (typeof EVENTS)[number];
  /** A recipient. A destination that cannot be had is deferred as a whole, so then it is the destination. */
  readonly to: string;
  /** Empty: none was asked. */
  readonly hop: string;
  readonly tls: string;
  readonly seconds: number;
  readonly reason: string;
}

export class DeliveryTail {
  readonly #fd: number;
  #position: number;
  #rest = '';
  #latest: readonly LoggedDelivery[] = [];

  /** From the present end of the file on. */
  constructor(path: string) {
    this.#fd = openSync(path, 'r');
    this.#position = fstatSync(this.#fd).size;
  }

  /** The latest first. */
  read(): readonly LoggedDelivery[] {
    const { size } = fstatSync(this.#fd);
    // The file was made shorter, or has grown too fast.
    if (size < this.#position || size - this.#position > MOST_READ) {
      this.#position = Math.max(0, size - MOST_READ);
      this.#rest = '';
    }
    const bytes = Buffer.alloc(Math.max(0, size - this.#position));
    const length = readSync(this.#fd, bytes, 0, bytes.length, this.#position);
    this.#position += length;
    const lines = (this.#rest + bytes.toString('latin1', 0, length)).split('\n');
    this.#rest = lines.pop() ?? '';
    const found = lines.flatMap((line) => parseDelivery(Buffer.from(line, 'latin1').toString()) ?? []);
    this.#latest = dropRepeated([...found.toReversed(), ...this.#latest]).slice(0, MOST_KEPT);
    return this.#latest;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** What is deferred again and again has its latest line only. Else it would push out all that was delivered. */
function dropRepeated(latest: readonly LoggedDelivery[]): readonly LoggedDelivery[] {
  const told = new Set<string>();
  return latest.filter(({ event, to }) => {
    const isRepeated = event === 'deferred' && told.has(to);
    if (event === 'deferred') told.add(to);
    return !isRepeated;
  });
}

/** Undefined if it is another event, or no whole line. */
function parseDelivery(line: string): LoggedDelivery | undefined {
  if (!EVENTS.some((event) => line.includes(`"event":"${event}"`))) return undefined;
  try {
    const entry = JSON.parse(line);
    const { time, event, destination = '', to = destination } = entry;
    const { hop = '', tls = 'none', seconds = 0, reason = '' } = entry;
    return EVENTS.includes(event) ? { time, event, to, hop, tls, seconds, reason } : undefined;
  } catch {
    return undefined;
  }
}
