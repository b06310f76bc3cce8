/**
 * Writes replies. All replies to one read leave in one write: replies to MAIL, RCPT and RSET may wait for the replies
 * to other commands of the same read, and all other replies leave at once (RFC 2920 section 3.2). A client that has
 * closed its sending side also gets its replies, which the library would drop.
 */
import type { Socket } from 'node:net';

const LF = 0x0a;
const GROUPED = new Set(['MAIL', 'RCPT', 'RSET']);
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROLS = /[\x00-\x1f\x7f]/g;

/** How long a client may take to read its last replies, and then to close its side. */
const LAST_REPLIES_MS = 60_000;
const CLOSED_MS = 5_000;

export class ReplyWriter {
  #mayWait = false;
  #isAlone = false;
  #corked: Socket | undefined;

  /** Call this with each read, before its commands. The reply to a command that came alone has no others to wait for. */
  read(chunk: Buffer): void {
    this.#isAlone = chunk.indexOf(LF) === chunk.length - 1;
  }

  /** Sets the command of the next replies. Empty: the line is no command. */
  begin(verb: string): void {
    this.#mayWait = !this.#isAlone && GROUPED.has(verb);
  }

  /**
   * Sends a reply. `write` is the library's way, which needs a socket that is open in both directions. `listLines` returns
   * what to write into another one.
   */
  send(socket: Socket, listLines: () => readonly string[], write: () => void): void {
    if (this.#mayWait && !this.#corked) {
      this.#corked = socket;
      socket.cork();
    }
    if (socket.readyState === 'writeOnly') {
      const lines = listLines().map((line) => `${line.replace(CONTROLS, ' ')}\r\n`);
      socket.write(lines.join(''));
    }
    write();
    if (!this.#mayWait) this.flush();
  }

  flush(): void {
    this.#corked?.uncork();
    this.#corked = undefined;
  }
}

/** Destroys a socket that has been ended, but not before the client had time to read. `deadline` is replaced. */
export function closeInTime(
  socket: Socket,
  deadline: NodeJS.Timeout | undefined,
): NodeJS.Timeout | undefined {
  if (socket.writableFinished || socket.destroyed) return deadline;
  clearTimeout(deadline);
  const within = (ms: number) => setTimeout(() => socket.destroy(), ms).unref();
  const reads = within(LAST_REPLIES_MS);
  socket.once('finish', () => {
    clearTimeout(reads);
    const closes = within(CLOSED_MS);
    socket.once('close', () => clearTimeout(closes));
  });
  return reads;
}

/** RFC 5321 section 4.2.1. */
export function replyLines(code: number, data?: string | string[] | null): string[] {
  const lines = Array.isArray(data) ? data : [data ?? ''];
  return lines.map((line, index) => `${code}${index < lines.length - 1 ? '-' : ' '}${line}`);
}
