/** A small DNS server for the tests: answers A, AAAA and MX from a table over UDP, NXDOMAIN for what is not in it. */
import { createSocket, type Socket } from 'node:dgram';
import packet from 'dns-packet';

export interface Names {
  readonly [name: string]: {
    readonly A?: readonly string[];
    readonly AAAA?: readonly string[];
    /** Preference and exchange; an exchange of "." is a null MX. */
    readonly MX?: readonly (readonly [number, string])[];
    /** Answers SERVFAIL, to everything or to these questions. */
    readonly broken?: true | readonly ('A' | 'AAAA')[];
  };
}

export class NameServer {
  readonly #socket: Socket = createSocket('udp4');
  readonly #names: Names;
  readonly asked: string[] = [];

  private constructor(names: Names) {
    this.#names = names;
    this.#socket.on('message', (message, { port, address }) => {
      this.#socket.send(this.#answer(packet.decode(message)), port, address);
    });
  }

  static async start(names: Names, port = 53, host = '127.0.0.1'): Promise<NameServer> {
    const server = new NameServer(names);
    await new Promise<void>((resolve) => server.#socket.bind(port, host, resolve));
    return server;
  }

  stop(): void {
    this.#socket.close();
  }

  #answer({ id, questions }: packet.Packet): Buffer {
    const [question] = questions ?? [];
    const name = question?.name.toLowerCase() ?? '';
    this.asked.push(`${question?.type} ${name}`);
    const known = this.#names[name] ?? this.#names[name.replace(/^[^.]*(\.[^.]*)*?(?=\.wild\.)/, '*')];
    const { broken } = known ?? {};
    const isBroken = broken === true || broken?.some((type) => type === question?.type) === true;
    const code = isBroken ? 2 : known ? 0 : 3;
    return packet.encode({
      type: 'response',
      ...(id === undefined ? {} : { id }),
      flags: packet.RECURSION_DESIRED | packet.RECURSION_AVAILABLE | code,
      questions: questions ?? [],
      answers: known && !isBroken && question ? this.#records(question, known) : [],
    });
  }

  #records({ name, type }: packet.Question, known: Names[string]): packet.Answer[] {
    const ttl = 1;
    if (type === 'MX')
      return (known.MX ?? []).map(([preference, exchange]) => ({
        name,
        type,
        ttl,
        data: { preference, exchange },
      }));
    if (type === 'A' || type === 'AAAA')
      return (known[type] ?? []).map((data) => ({ name, type, ttl, data }));
    return [];
  }
}
