/**
 * The end of mail for inbound.feedbackReports.address: each mail is verified and read. A complaint goes with the verdict
 * to the queue, which writes its event together with the end of the mail, so that a crash loses either both or none.
 * Every other mail is discarded with its reason. Its sender hears nothing, because it can be invented. Only a key that
 * cannot be looked up makes a mail wait.
 */
import type { AttemptResult, Complaint, Parcel } from '../delivery/courier.ts';
import type { Log } from '../observe/log.ts';
import {
  answerFromHere,
  type LookUpTxt,
  MailProver,
  type ProvenSender,
  waits,
} from '../tlsrpt/provenmail.ts';
import { type Feedback, readAddress, readFeedback } from './arf.ts';

export interface FeedbackInboxDeps {
  readonly log: Log;
  readonly lookUpTxt: LookUpTxt;
  readonly count: (name: 'feedback_reports' | 'complaints', label: string) => void;
  /** The only message of ours that this may be about. Undefined if nobody knows. */
  readonly findMessage: (messageId: string, recipient: string | undefined) => string | undefined;
}

/** The types of RFC 5965, which have a metric label of their own. */
const TYPES: readonly string[] = ['abuse', 'fraud', 'virus', 'not-spam', 'other'];

/** So many recipients are named in the log, and all in the event. */
const LOGGED = 10;

type Said = Extract<Feedback, { kind: 'complaint' }>['said'];

export class FeedbackInbox {
  readonly #deps: FeedbackInboxDeps;
  readonly #prover: MailProver;

  constructor(deps: FeedbackInboxDeps) {
    this.#deps = deps;
    this.#prover = new MailProver({ lookUpTxt: deps.lookUpTxt, service: 'email' });
  }

  /** Takes one mail. Rejects if its body cannot be read. */
  async take(parcel: Parcel): Promise<AttemptResult> {
    const { log, count } = this.#deps;
    const judged = await this.#prover.judge(parcel, (mail, sender) => ({ ...readFeedback(mail), sender }));
    if (judged.kind === 'unclear') return answerFromHere(parcel, waits(judged.reason));
    if (judged.kind === 'discarded') {
      const { cause, reason } = judged;
      log('feedback_report_discarded', { from: parcel.from, cause, reason });
      count('feedback_reports', cause);
      return answerFromHere(parcel, { kind: 'delivered', reply: `250 2.0.0 discarded: ${reason}` });
    }
    return this.#answer(parcel, this.#complete(judged.said, judged.sender));
  }

  /** Mails that are being judged wait in the queue. */
  stop(): void {
    this.#prover.stop();
  }

  #complete(said: Said, { domain: reporter, from }: ProvenSender): Complaint {
    const { messageId, recipients } = said;
    const queueId = messageId && this.#deps.findMessage(messageId, recipients[0]);
    const reporterAddress = readAddress(from);
    return {
      reporter,
      ...(reporterAddress === undefined ? {} : { reporterAddress }),
      ...(queueId ? { queueId } : {}),
      ...said,
    };
  }

  #answer(parcel: Parcel, complaint: Complaint): AttemptResult {
    const { log, count } = this.#deps;
    const { reporter, reporterAddress, feedbackType, queueId, messageId, from, recipients } = complaint;
    log('complained', {
      reporter,
      reporterAddress,
      feedbackType,
      queueId,
      messageId,
      from,
      to: recipients.slice(0, LOGGED),
    });
    count('feedback_reports', 'taken');
    count('complaints', TYPES.includes(feedbackType) ? feedbackType : 'other');
    const reply = `250 2.0.0 complaint of ${reporter} taken`;
    const answer = answerFromHere(parcel, { kind: 'delivered', reply });
    if (answer.kind !== 'answered') return answer;
    // One mail is one complaint, however often it names the address.
    const [first, ...rest] = answer.verdicts;
    return { ...answer, verdicts: first ? [{ kind: 'delivered', reply, complaint }, ...rest] : rest };
  }
}
