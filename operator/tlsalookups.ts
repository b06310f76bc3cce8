/**
 * Looks TLSA records up in DNS while a key waits for the proof that they are there. It asks the name servers of the
 * operator's pod, in the background, so that a slow one holds up no reconcile. Without such a relay it does nothing. A
 * look-up that fails, or takes too long, is an answer too: nothing is known then.
 */
import { promises as dns } from 'node:dns';
import { isDeepStrictEqual } from 'node:util';
import type { AwaitedRecord, DnsAnswer, DnsView } from './records/keyplan.ts';

/** Of one try at one name server, and of a whole look-up. */
const TRY_MS = 2_000;
const LOOKUP_MS = 10_000;
/** Below the pause between two looks at such a relay, so that each of these looks up again. */
const FRESH_MS = 25_000;

interface Asked {
  readonly records: readonly AwaitedRecord[];
  readonly at: number;
  readonly resolver: dns.Resolver;
  /** True while the relay waits for no records. */
  readonly isIdle?: true;
  answers: DnsView | undefined;
}

export interface LookupOptions {
  /** Gets the key of a MailRelay whose records have another answer than before. */
  readonly onAnswer: (relayKey: string) => void;
  readonly monotonic: () => number;
  /** Name servers in place of those of the pod. */
  readonly servers?: readonly string[];
  readonly lookupMs?: number;
}

export class TlsaLookups {
  readonly #options: LookupOptions;
  readonly #asked = new Map<string, Asked>();

  constructor(options: LookupOptions) {
    this.#options = options;
  }

  /** The last answers; undefined before the first ones, and for a relay that waits for none. */
  answersFor(relayKey: string): DnsView | undefined {
    return this.#asked.get(relayKey)?.answers;
  }

  /**
   * Looks exactly these records of a relay up, if that was not done just now. A relay that waits for none for a while
   * has not another look-up for each time.
   */
  follow(relayKey: string, records: readonly AwaitedRecord[]): void {
    const before = this.#asked.get(relayKey);
    const now = this.#options.monotonic();
    if (records.length === 0) {
      if (before) this.#idle(relayKey, before);
      return;
    }
    const isSame = before !== undefined && isDeepStrictEqual(before.records, records);
    if (isSame && now - before.at < FRESH_MS) return;
    before?.resolver.cancel();
    for (const [key, { isIdle, at }] of this.#asked)
      if (isIdle && now - at >= FRESH_MS) this.#asked.delete(key);
    const resolver = new dns.Resolver({ timeout: TRY_MS, tries: 2 });
    if (this.#options.servers) resolver.setServers(this.#options.servers);
    const asked = { records, at: now, resolver, answers: isSame ? before.answers : undefined };
    this.#asked.set(relayKey, asked);
    void this.#lookUp(relayKey, asked);
  }

  stop(): void {
    for (const { resolver } of this.#asked.values()) resolver.cancel();
    this.#asked.clear();
  }

  /** Forgets the answers. What was asked, and when, is known for a while. */
  #idle(relayKey: string, before: Asked): void {
    before.resolver.cancel();
    this.#asked.set(relayKey, { ...before, answers: undefined, isIdle: true });
  }

  async #lookUp(relayKey: string, asked: Asked): Promise<void> {
    const late = setTimeout(() => asked.resolver.cancel(), this.#options.lookupMs ?? LOOKUP_MS);
    const answers = new Map(
      await Promise.all(
        asked.records.map(async (record) => [record.name, await ask(asked.resolver, record)] as const),
      ),
    );
    clearTimeout(late);
    if (this.#asked.get(relayKey) !== asked || isDeepStrictEqual(answers, asked.answers)) return;
    asked.answers = answers;
    this.#options.onAnswer(relayKey);
  }
}

/** Keeps only what was asked for, because an answer may have any number of records. Throws nothing. */
async function ask(resolver: dns.Resolver, { name, values }: AwaitedRecord): Promise<DnsAnswer> {
  try {
    const found = new Set((await resolver.resolveTlsa(name)).map(print));
    return { kind: 'found', values: values.filter((value) => found.has(value)) };
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    return ABSENT.has(code) ? { kind: 'found', values: [] } : { kind: 'failed', why: WHY[code] ?? code };
  }
}

const ABSENT = new Set(['ENODATA', 'ENOTFOUND']);

const WHY: Readonly<Record<string, string>> = {
  ESERVFAIL: 'the name server cannot resolve it (SERVFAIL)',
  EREFUSED: 'the name server refuses to answer (REFUSED)',
  ETIMEOUT: 'no name server answers',
  ECANCELLED: 'no name server answers',
  ECONNREFUSED: 'no name server can be reached (ECONNREFUSED)',
};

function print({
  certUsage,
  selector,
  match,
  data,
}: Awaited<ReturnType<dns.Resolver['resolveTlsa']>>[number]) {
  return `${certUsage} ${selector} ${match} ${Buffer.from(data).toString('hex')}`;
}
