/**
 * Sends the report of one domain and day to one target, by HTTPS or as mail through the queue of this relay. A mail needs
 * a DKIM signature of the relay, because receivers take no other (RFC 8460 section 5.3): without a key for the sender's
 * domain none is sent.
 */
import type { SecureContext } from 'node:tls';
import type { Policy } from '#crds/policyfile.ts';
import { signsReports } from '#crds/tlsreports.ts';
import { newQueueId } from '../spool/record.ts';
import type { NewMessage } from '../spool/spool.ts';
import { within } from '../task/within.ts';
import { domainPart, renderMail } from './mail.ts';
import { postReport, type Sent } from './post.ts';
import { parseTarget } from './record.ts';
import { packReport, type TlsReport } from './report.ts';
import { type DomainTally, findDayEnd } from './tally.ts';

type ReportTerms = NonNullable<Policy['outbound']['tlsReports']>;

export interface OutboxDeps {
  readonly policy: Policy;
  readonly terms: ReportTerms;
  /** Names this relay in the ids of its reports. */
  readonly instance: string;
  readonly wall: () => number;
  /** The addresses of a host. Rejects if there are none. */
  readonly lookUp: (host: string) => Promise<readonly string[]>;
  /** The authorities that may sign the certificate of a report host. */
  readonly context: () => SecureContext;
  /** Resolves when the mail is durable in the queue. */
  readonly enter: (message: NewMessage) => Promise<void>;
}

export interface Letter {
  readonly domain: string;
  readonly day: string;
  readonly policies: DomainTally['policies'];
}

/** For the connection and the answer together. */
const POST_MS = 60_000;
const DAY_SECONDS = 86_400;

export class Outbox {
  readonly #deps: OutboxDeps;
  readonly #closing = new AbortController();

  constructor(deps: OutboxDeps) {
    this.#deps = deps;
  }

  /** Never rejects. */
  async send(uri: string, letter: Letter): Promise<Sent> {
    const target = parseTarget(uri);
    if (!target) return fail('it is no address for reports', true);
    try {
      return target.kind === 'https'
        ? await this.#post(target.url, letter)
        : await this.#mail(target.address, letter);
    } catch (error) {
      return fail((error as Error).message, false);
    }
  }

  /** Ends what is on its way. */
  close(): void {
    this.#closing.abort();
  }

  async #post(url: string, letter: Letter): Promise<Sent> {
    const { lookUp, context } = this.#deps;
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(POST_MS)]);
    const posted = postReport(url, packReport(this.#report(letter)), { lookUp, context: context(), signal });
    return (await within(signal, posted)) ?? fail('it took too long', false);
  }

  async #mail(to: string, letter: Letter): Promise<Sent> {
    const { policy, terms, wall, enter } = this.#deps;
    const { from } = terms;
    if (!signsReports(policy)) {
      const text = `no key of outbound.dkim signs for ${domainPart(from)}: add one`;
      return fail(text, true);
    }
    const now = wall();
    const id = newQueueId(now);
    const report = this.#report(letter);
    const fileName = this.#fileName(letter);
    const { domain } = letter;
    const packed = packReport(report);
    const bytes = renderMail({ id, from, to, domain, now: new Date(now), report, packed, fileName });
    await enter({
      id,
      envelope: {
        from,
        recipients: [{ address: to, state: 'queued', notify: ['NEVER'] }],
        receivedAt: now,
        smtpUtf8: false,
        eightBit: false,
        ours: true,
        tlsReport: true,
      },
      body: { kind: 'inline', bytes },
    });
    return { kind: 'sent' };
  }

  #report({ domain, day, policies }: Letter): TlsReport {
    const { terms, instance } = this.#deps;
    const submitter = domainPart(terms.from);
    return {
      'organization-name': submitter,
      'date-range': { 'start-datetime': `${day}T00:00:00Z`, 'end-datetime': `${day}T23:59:59Z` },
      'contact-info': terms.contact,
      // The mail names it as a Message-ID (RFC 8460 section 5.3).
      'report-id': `${instance}.${day}.${domain}@${submitter}`,
      policies,
    };
  }

  /** RFC 8460 section 5.1. The last part keeps the reports of several pods apart. */
  #fileName({ domain, day }: Letter): string {
    const { terms, instance } = this.#deps;
    const end = findDayEnd(day) / 1000;
    const unique = instance.replaceAll('-', '').slice(0, 12);
    return `${domainPart(terms.from)}!${domain}!${end - DAY_SECONDS}!${end - 1}!${unique}.json.gz`;
  }
}

function fail(reason: string, permanent: boolean): Sent {
  return { kind: 'failed', reason, permanent };
}
