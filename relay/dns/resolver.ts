/**
 * Looks names up at the DNS servers of outbound.resolver, and says what DNSSEC proves: these servers validate, and
 * their word counts only if the spec trusts it. Answers are kept for their TTL. Every look-up ends within about a minute
 * of its turn, and a failure is a value. It may wait long for its turn, and does not fail by that: who asks knows how long
 * to wait. Nothing of DNSSEC is validated here.
 */
import { randomInt } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { domainToASCII } from 'node:url';
import { lacksMeans } from '#crds/systemwords.ts';
import {
  type DnsAnswer,
  type Question,
  type Reading,
  type RecordType,
  readAnswer,
  writeQuestion,
} from './answer.ts';
import { AnswerCache } from './cache.ts';
import { type Reader, type Server, Transport } from './transport.ts';

/** Each server is asked so many times. */
const ROUNDS = 2;
/**
 * The same where none has said anything. Unbound answers no question that it has worked at for two seconds (discard-timeout):
 * it has the answer for a later one.
 */
const SILENT_ROUNDS = 4;
/** Where no server was reached, the second round begins so long after the first: a restart takes about as long. */
const RESTART_MS = 1_000;
/** Of look-ups at the same time: each has a socket. */
const AT_ONCE = 64;
/** RFC 1035 section 2.3.4, without the final dot. */
export const LONGEST_NAME = 253;

export type { DnsAnswer } from './answer.ts';

export interface Dns {
  lookUp<Type extends RecordType>(name: string, type: Type): Promise<DnsAnswer<Type>>;
}

export interface ResolverOptions {
  readonly servers: readonly Server[];
  /** False: nothing counts as proven by DNSSEC. */
  readonly trustAD: boolean;
  readonly clock: () => number;
}

export class DnsResolver implements Dns {
  readonly #servers: readonly Transport[];
  readonly #tries: readonly Transport[];
  readonly #trustAD: boolean;
  readonly #cache: AnswerCache;
  readonly #asking = new Map<string, Promise<DnsAnswer<RecordType>>>();
  readonly #waiting: (() => void)[] = [];
  readonly #clock: () => number;
  #running = 0;

  constructor({ servers, trustAD, clock }: ResolverOptions) {
    this.#clock = clock;
    this.#servers = servers.map((server) => new Transport(server));
    this.#trustAD = trustAD;
    this.#tries = Array.from({ length: SILENT_ROUNDS }, () => this.#servers).flat();
    this.#cache = new AnswerCache(clock);
  }

  async lookUp<Type extends RecordType>(host: string, type: Type): Promise<DnsAnswer<Type>> {
    const name = plainDnsName(host);
    if (name === undefined) return { kind: 'failed', why: 'it is no name of the DNS', isBogus: false };
    const key = `${type} ${name}`;
    const known = this.#cache.get(key) ?? this.#asking.get(key);
    if (known) return (await known) as DnsAnswer<Type>;
    const asked = this.#ask(key, name, type).finally(() => this.#asking.delete(key));
    this.#asking.set(key, asked);
    return (await asked) as DnsAnswer<Type>;
  }

  async #ask(key: string, name: string, type: RecordType): Promise<DnsAnswer<RecordType>> {
    if (this.#running >= AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      const { answer, ttlSeconds } = await this.#askServers(name, type);
      return this.#cache.keep(key, answer, ttlSeconds);
    } finally {
      // The place goes to the one that has waited longest.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running -= 1;
    }
  }

  async #askServers(name: string, type: RecordType) {
    let why: string = SILENT.why;
    let servfail: Transport | undefined;
    const began = this.#clock();
    let asked = 0;
    let silent = 0;
    let unreached = 0;
    for (const server of this.#tries) {
      const isSilence = silent > 0 && silent + unreached === asked;
      if (asked === ROUNDS * this.#servers.length && !isSilence) break;
      if (asked === this.#servers.length && unreached === asked)
        await setTimeout(Math.max(0, began + RESTART_MS - this.#clock()));
      const reading = await exchange(server, { name, type });
      if (reading.kind === 'answer') return { ...reading, answer: this.#believe(reading.answer) };
      asked += 1;
      if (reading === SILENT) silent += 1;
      if (reading === UNREACHED) unreached += 1;
      why = reading.why;
      servfail = reading.isServfail ? server : undefined;
      // Only a server that is slow may do better when it is asked again at once.
      if (reading.isServfail && this.#servers.length === 1) break;
    }
    const later = servfail && (await this.#askAgain(servfail, name, type));
    if (later?.kind === 'answer') return later;
    const isBogus = later?.kind === 'bogus';
    if (isBogus) why = 'DNSSEC shows that its records are wrong or expired (bogus)';
    const ours = unreached === asked ? { isUnasked: true as const } : {};
    return { answer: { kind: 'failed', why, isBogus, ...ours } as const, ttlSeconds: 0 };
  }

  /**
   * Tells people apart a name that fails in DNSSEC and a name whose servers are down, of which the server says the same
   * (SERVFAIL). A name is bogus if it has signatures, and fails only as long as they are checked. The answer that is not
   * checked is never used.
   */
  async #askAgain(server: Transport, name: string, type: RecordType) {
    const unchecked = await exchangeUntilHeard(server, { name, type }, false);
    if (unchecked.kind !== 'answer') return undefined;
    const checked = await exchangeUntilHeard(server, { name, type });
    if (checked.kind === 'answer') return { ...checked, answer: this.#believe(checked.answer) };
    return checked.isServfail && unchecked.hasSignatures ? ({ kind: 'bogus' } as const) : undefined;
  }

  #believe(answer: DnsAnswer<RecordType>): DnsAnswer<RecordType> {
    return answer.kind === 'failed' || this.#trustAD ? answer : { ...answer, isSigned: false };
  }
}

const SILENT = { kind: 'refused', why: 'the name server does not answer', isServfail: false } as const;
const NO_CONNECTION = {
  kind: 'refused',
  why: 'the name server has a long answer, and takes no connection over TCP for it',
  isServfail: false,
} as const;
const UNREACHED = { kind: 'refused', why: 'the name server cannot be reached', isServfail: false } as const;

type Result<Type extends RecordType> = Extract<Reading<Type>, { kind: 'answer' | 'refused' }>;

type Asked<Type extends RecordType> = Omit<Question<Type>, 'id'>;

/** A lost datagram says nothing. */
async function exchangeUntilHeard<Type extends RecordType>(
  server: Transport,
  asked: Asked<Type>,
  isChecked = true,
): Promise<Result<Type>> {
  for (let tries = 1; ; tries += 1) {
    const reading = await exchange(server, asked, isChecked);
    if (reading !== SILENT || tries === SILENT_ROUNDS) return reading;
  }
}

async function exchange<Type extends RecordType>(
  server: Transport,
  asked: Asked<Type>,
  isChecked = true,
): Promise<Result<Type>> {
  const question = { id: randomInt(65_536), ...asked };
  try {
    const bytes = writeQuestion(question, isChecked);
    const read = (message: Buffer) => {
      const reading = readAnswer(message, question);
      return reading.kind === 'foreign' ? undefined : reading;
    };
    const first = await server.askOverUdp(bytes, read);
    const reading = first?.kind === 'truncated' ? await askForAll(server, bytes, read) : first;
    if (reading?.kind === 'answer' || reading?.kind === 'refused') return reading;
    return SILENT;
  } catch {
    return UNREACHED;
  }
}

/** A server that was heard over UDP is there, whatever becomes of a connection: it does not say. */
async function askForAll<T>(server: Transport, question: Buffer, read: Reader<T>) {
  try {
    return await server.askOverTcp(question, read);
  } catch (error) {
    if (lacksMeans(error)) throw error;
    return NO_CONNECTION;
  }
}

/** Undefined: the DNS cannot have this name. */
function plainDnsName(host: string): string | undefined {
  const name = (/[^ -~]/.test(host) ? domainToASCII(host) : host).toLowerCase().replace(/\.$/, '');
  const isName =
    name.length <= LONGEST_NAME && name.split('.').every(({ length }) => length > 0 && length <= 63);
  return isName && /^[!-~]+$/.test(name) ? name : undefined;
}
