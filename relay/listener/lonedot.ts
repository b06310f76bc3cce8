/**
 * What becomes of a message whose sender seems to have ended it by another line of a lone dot than CRLF.CRLF. Where no
 * bare LF is taken, LF.LF ends the session at once, because what follows is the next message to one server and text to
 * another. Everywhere else such a line is data; but a sender that waits for an answer behind it would wait for minutes.
 */
import type { LineEndings } from '#crds/policyfile.ts';
import type { LoneDot } from './dataparser.ts';

/** Senders that end a message wrongly wait for an answer; others have more to send. */
const SILENCE_MS = 5_000;

export class LoneDots {
  readonly #lineEndings: LineEndings;
  readonly #giveUp: () => void;
  #silence: NodeJS.Timeout | undefined;

  /** `giveUp` answers the message, and ends the session. */
  constructor(lineEndings: LineEndings, giveUp: () => void) {
    this.#lineEndings = lineEndings;
    this.#giveUp = giveUp;
  }

  /** Nothing came behind the last line of a lone dot. */
  get isWaiting(): boolean {
    return this.#silence !== undefined;
  }

  /** True where the session is at its end. */
  seen(kind: LoneDot, isLast: boolean): boolean {
    const isEnd = kind === 'LF.LF' && this.#lineEndings === 'Strict';
    if (isEnd) this.#giveUp();
    else if (isLast) this.#silence = setTimeout(this.#giveUp, SILENCE_MS);
    return isEnd;
  }

  /** More came, or nothing ever will. */
  forget(): void {
    clearTimeout(this.#silence);
    this.#silence = undefined;
  }
}
