/**
 * A small DNS server for the tests. It answers A, AAAA, MX, TXT and TLSA from a table, and NXDOMAIN for other names. An
 * answer that is too large for UDP is truncated there, and complete over TCP. It can say, as a validating resolver does,
 * that DNSSEC proves a name.
 */
import { createSocket, type Socket } from 'node:dgram';
import { createServer, type Socket as TcpSocket } from 'node:net';
import packet from 'dns-packet';

/** The size that resolvers accept over UDP today (EDNS). */
const UDP_BYTES = 1_232;

export interface Names {
  readonly [name: string]: {
    readonly A?: readonly string[];
    readonly AAAA?: readonly string[];
    /** Preference and exchange; an exchange of "." is a null MX. */
    readonly MX?: readonly (readonly [number, string])[];
    readonly TXT?: readonly string[];
    /** Records 3 1 1, each with this digest. */
    readonly TLSA?: readonly Buffer[];
    readonly isSigned?: true;
    /** In seconds, also of what is not there. Default: 1, and nothing says how long something is not there. */
    readonly ttl?: number;
    /** The server answers SERVFAIL to all questions, or to questions of these types. */
    readonly broken?: true | readonly ('A' | 'AAAA')[];
  };
}

export class NameServer {
  readonly #socket: Socket = createSocket('udp4');
  readonly #tcp = createServer((socket) => this.#serve(socket));
  readonly #names: Names;
  readonly asked: string[] = [];

  private constructor(names: Names) {
    this.#names = names;
    this.#socket.on('message', (message, { port, address }) => {
      const answer = this.#answer(packet.decode(message));
      const whole = packet.encode(answer);
      const sent = whole.length > UDP_BYTES ? packet.encode(cut(answer)) : whole;
      this.#socket.send(sent, port, address);
    });
    // A resolver may keep its connections longer than the test runs.
    this.#tcp.unref();
  }

  static async start(names: Names, port = 53, host = '127.0.0.1'): Promise<NameServer> {
    const server = new NameServer(names);
    await new Promise<void>((resolve) => server.#socket.bind(port, host, resolve));
    await new Promise<void>((resolve) => server.#tcp.listen(port, host, resolve));
    return server;
  }

  stop(): void {
    this.#socket.close();
    this.#tcp.close();
  }

  /** Serves a TCP connection. Each message begins with two bytes of length (RFC 1035 section 4.2.2). */
  #serve(socket: TcpSocket): void {
    let heard = Buffer.alloc(0);
    socket.unref();
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      heard = Buffer.concat([heard, chunk]);
      while (heard.length >= 2 && heard.length >= 2 + heard.readUInt16BE()) {
        const end = 2 + heard.readUInt16BE();
        socket.write(packet.streamEncode(this.#answer(packet.streamDecode(heard.subarray(0, end)))));
        heard = heard.subarray(end);
      }
    });
  }

  #answer({ id, questions }: packet.Packet): packet.Packet {
    const [question] = questions ?? [];
    const name = question?.name.toLowerCase() ?? '';
    this.asked.push(`${question?.type} ${name}`);
    const known = this.#names[name] ?? this.#names[name.replace(/^[^.]*(\.[^.]*)*?(?=\.wild\.)/, '*')];
    const { broken } = known ?? {};
    const isBroken = broken === true || broken?.some((type) => type === question?.type) === true;
    const code = isBroken ? 2 : known ? 0 : 3;
    const proof = known?.isSigned ? packet.AUTHENTIC_DATA : 0;
    const answers = known && !isBroken && question ? this.#records(question, known) : [];
    const isAbsent = answers.length === 0 && known?.ttl !== undefined;
    return {
      type: 'response',
      ...(id === undefined ? {} : { id }),
      flags: packet.RECURSION_DESIRED | packet.RECURSION_AVAILABLE | proof | code,
      questions: questions ?? [],
      answers,
      // RFC 2308 section 3.
      authorities: isAbsent ? [makeSoa(name, known.ttl)] : [],
    };
  }

  #records({ name, type }: packet.Question, known: Names[string]): packet.Answer[] {
    const { ttl = 1 } = known;
    if (type === 'MX')
      return (known.MX ?? []).map(([preference, exchange]) => ({
        name,
        type,
        ttl,
        data: { preference, exchange },
      }));
    // A string of a record has 255 bytes at most.
    if (type === 'TXT')
      return (known.TXT ?? []).map((text) => ({ name, type, ttl, data: text.match(/.{1,255}/g) ?? [''] }));
    if (type === 'TLSA')
      return (known.TLSA ?? []).map((certificate) => ({
        name,
        type,
        ttl,
        data: { usage: 3, selector: 1, matchingType: 1, certificate },
      }));
    if (type === 'A' || type === 'AAAA')
      return (known[type] ?? []).map((data) => ({ name, type, ttl, data }));
    return [];
  }
}

function makeSoa(name: string, ttl = 1): packet.Answer {
  const times = { serial: 1, refresh: ttl, retry: ttl, expire: ttl, minimum: ttl };
  return { type: 'SOA', name, ttl, data: { mname: 'ns.example', rname: 'dns.example', ...times } };
}

function cut({ flags = 0, ...rest }: packet.Packet): packet.Packet {
  return { ...rest, flags: flags | packet.TRUNCATED_RESPONSE, answers: [] };
}
