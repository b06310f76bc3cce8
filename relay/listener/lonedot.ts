/**
 * Handles a message whose sender seems to have ended it by a lone dot without CRLF.CRLF. If no bare LF is accepted,
 * LF.LF ends the session at once, because one server would read the next bytes as a new message and another as text. In
 * all other cases such a line is data. But a sender that waits for a reply after it would wait for minutes, so the
 * message is given up.
 */
import type { LineEndings } from '#crds/policyfile.ts';
import type { LoneDot } from './dataparser.ts';

/** A sender with a wrong end waits for a reply. Other senders have more data. */
const SILENCE_MS = 5_000;

export class LoneDots {
  readonly #lineEndings: LineEndings;
  readonly #giveUp: () => void;
  #silence: NodeJS.Timeout | undefined;

  /** `giveUp` answers the message and ends the session. */
  constructor(lineEndings: LineEndings, giveUp: () => void) {
    this.#lineEndings = lineEndings;
    this.#giveUp = giveUp;
  }

  /** True while no bytes have followed the last lone dot. */
  get isWaiting(): boolean {
    return this.#silence !== undefined;
  }

  /** True if the session must end. */
  seen(kind: LoneDot, isLast: boolean): boolean {
    const isEnd = kind === 'LF.LF' && this.#lineEndings === 'Strict';
    if (isEnd) this.#giveUp();
    else if (isLast) this.#silence = setTimeout(this.#giveUp, SILENCE_MS);
    return isEnd;
  }

  /** More bytes came, or none can come any more. */
  forget(): void {
    clearTimeout(this.#silence);
    this.#silence = undefined;
  }
}
