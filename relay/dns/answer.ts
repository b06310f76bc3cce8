/**
 * One question to a DNS server and what its answer means. The answer must fit the question, and only records of the
 * asked name, or of the name that its CNAME records lead to, count. Whether DNSSEC proves the answer is the word of
 * the server (the AD flag of RFC 4035). Pure.
 */
import packet from 'dns-packet';

/** What resolvers take over UDP without fragments (EDNS, RFC 6891). */
const UDP_BYTES = 1_232;
const LONGEST_CHAIN = 16;
/** Longer answers are asked for again each time, so that those that are kept stay small together. */
const LONGEST_KEPT_BYTES = 4_096;
const FORMAT_ERROR = 'its answer cannot be read';

interface RecordData {
  readonly A: string;
  readonly AAAA: string;
  readonly CNAME: string;
  readonly MX: { readonly exchange: string; readonly priority: number };
  /** The strings of one record. */
  readonly TXT: string[];
  readonly TLSA: {
    readonly usage: number;
    readonly selector: number;
    readonly matching: number;
    /** In hexadecimal. */
    readonly data: string;
  };
}
export type RecordType = keyof RecordData;

/** `until`: it is kept so long, by the clock of the resolver. Absent: it is asked for again. */
interface KeptFor {
  readonly until?: number;
}

/** `name`: the name that CNAME records lead to. `isSigned`: DNSSEC proves all of it. */
export type DnsAnswer<Type extends RecordType> =
  | (KeptFor & {
      readonly kind: 'records';
      readonly name: string;
      readonly records: readonly RecordData[Type][];
      readonly isSigned: boolean;
    })
  /** `exists`: the name has records of another type. */
  | (KeptFor & {
      readonly kind: 'absent';
      readonly name: string;
      readonly exists: boolean;
      readonly isSigned: boolean;
    })
  /**
   * `isBogus`: there is an answer, and DNSSEC shows that it is wrong. `isUnasked`: nobody was reached, by a lack of this machine
   * or of its name servers, so this says nothing of the name.
   */
  | {
      readonly kind: 'failed';
      readonly why: string;
      readonly isBogus: boolean;
      readonly isUnasked?: true;
    };

export type Reading<Type extends RecordType> =
  | {
      readonly kind: 'answer';
      readonly answer: DnsAnswer<Type>;
      readonly ttlSeconds: number;
      /** It has signatures, whatever they prove. */
      readonly hasSignatures: boolean;
    }
  /** It does not fit in a datagram. */
  | { readonly kind: 'truncated' }
  /** Another server may answer. */
  | { readonly kind: 'refused'; readonly why: string; readonly isServfail: boolean }
  /** It belongs to another question: the true answer may still come. */
  | { readonly kind: 'foreign' };

export interface Question<Type extends RecordType = RecordType> {
  readonly id: number;
  readonly name: string;
  readonly type: Type;
}

/** `isChecked` false: the server shall answer even if DNSSEC shows that the answer is wrong (RFC 4035, CD). */
export function writeQuestion({ id, name, type }: Question, isChecked = true): Buffer {
  return packet.encode({
    type: 'query',
    id,
    flags: packet.RECURSION_DESIRED | (isChecked ? packet.AUTHENTIC_DATA : packet.CHECKING_DISABLED),
    questions: [{ name, type, class: 'IN' }],
    additionals: [
      {
        name: '.',
        type: 'OPT',
        udpPayloadSize: UDP_BYTES,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: packet.DNSSEC_OK,
        flag_do: true,
        options: [],
      },
    ],
  });
}

export function readAnswer<Type extends RecordType>(
  message: Buffer,
  question: Question<Type>,
): Reading<Type> {
  const decoded = decode(message);
  if (decoded === undefined) return { kind: 'foreign' };
  const [asked, ...more] = decoded.questions ?? [];
  const code = readCode(decoded);
  // Who cannot read a question, or may not answer it, may answer with a head alone.
  const isHeadOfError = asked === undefined && code !== 'NOERROR';
  const isAbout = more.length === 0 && asked?.type === question.type && isSame(asked.name, question.name);
  const isOurs = decoded.type === 'response' && decoded.id === question.id && (isAbout || isHeadOfError);
  if (!isOurs) return { kind: 'foreign' };
  if (isHeadOfError) return { kind: 'refused', why: explainCode(code), isServfail: code === 'SERVFAIL' };
  if (decoded.flag_tc) return { kind: 'truncated' };
  if (code !== 'NOERROR' && code !== 'NXDOMAIN')
    return { kind: 'refused', why: explainCode(code), isServfail: code === 'SERVFAIL' };
  const reading = readRecords(decoded, question, code === 'NOERROR');
  return reading.kind === 'answer' && message.length > LONGEST_KEPT_BYTES
    ? { ...reading, ttlSeconds: 0 }
    : reading;
}

/** With the part that does not fit into the header (RFC 6891 section 6.1.3). */
function readCode({ additionals = [], ...head }: packet.DecodedPacket): string {
  const opt = additionals.find((one) => one.type === 'OPT') as { extendedRcode?: number } | undefined;
  const extended = opt?.extendedRcode ?? 0;
  return extended === 0 ? ((head as { rcode?: string }).rcode ?? '') : 'an extended RCODE, as BADVERS is';
}

function readRecords<Type extends RecordType>(
  decoded: packet.DecodedPacket,
  { name, type }: Question<Type>,
  exists: boolean,
): Reading<Type> {
  const isSigned = decoded.flag_ad;
  const answers = (decoded.answers ?? []).filter((one) => (one as { class?: string }).class === 'IN');
  const { end, chain } = followAliases(name, type, answers);
  const found = answers.filter((one) => one.type === type && isSame(one.name, end));
  const hasSignatures = [...answers, ...(decoded.authorities ?? [])].some((one) => one.type === 'RRSIG');
  const ttlSeconds = Math.min(...[...chain, ...found].map((one) => (one as { ttl?: number }).ttl ?? 0));
  if (found.length > 0 && exists) {
    const records = found.map((one) => readData(type, one));
    const answer = { kind: 'records', name: end, records, isSigned } as const;
    return { kind: 'answer', answer, ttlSeconds, hasSignatures };
  }
  // Records of other names only: no server that works says this.
  if (answers.some((one) => one.type === type))
    return { kind: 'refused', why: 'its answer is about another name', isServfail: false };
  const negative = Math.min(ttlSeconds, readNegativeTtl(decoded.authorities ?? []));
  const answer = { kind: 'absent', name: end, exists, isSigned } as const;
  return { kind: 'answer', answer, ttlSeconds: negative, hasSignatures };
}

function followAliases(name: string, type: RecordType, answers: readonly packet.Answer[]) {
  const chain: packet.Answer[] = [];
  let end = name;
  while (type !== 'CNAME' && chain.length < LONGEST_CHAIN) {
    const alias = answers.find((one) => one.type === 'CNAME' && isSame(one.name, end));
    if (alias?.type !== 'CNAME') break;
    chain.push(alias);
    end = normalize(alias.data);
  }
  return { end, chain };
}

function readData<Type extends RecordType>(type: Type, record: packet.Answer): RecordData[Type] {
  const read = (): unknown => {
    switch (record.type) {
      case 'MX':
        return { exchange: normalize(record.data.exchange), priority: record.data.preference ?? 0 };
      case 'TXT':
        return [record.data].flat().map((part) => part.toString('latin1'));
      case 'TLSA': {
        const { usage, selector, matchingType, certificate } = record.data;
        return { usage, selector, matching: matchingType, data: certificate.toString('hex') };
      }
      default:
        return (record as { data: string }).data;
    }
  };
  return read() as RecordData[typeof type];
}

/** RFC 2308 section 5. 0 without a SOA record. */
function readNegativeTtl(authorities: readonly packet.Answer[]): number {
  const soa = authorities.find((one) => one.type === 'SOA');
  return soa?.type === 'SOA' ? Math.min(soa.ttl ?? 0, soa.data.minimum ?? 0) : 0;
}

function decode(message: Buffer): packet.DecodedPacket | undefined {
  try {
    return packet.decode(message);
  } catch {
    return undefined;
  }
}

function explainCode(code: string): string {
  if (code === 'SERVFAIL') return 'the name server cannot resolve it (SERVFAIL)';
  if (code === 'REFUSED') return 'the name server refuses to answer (REFUSED)';
  return code === '' ? FORMAT_ERROR : `the name server answers ${code}`;
}

function normalize(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

function isSame(a: string, b: string): boolean {
  return normalize(a) === normalize(b);
}
