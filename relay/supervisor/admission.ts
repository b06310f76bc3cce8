/**
 * Decides which listener process gets an accepted connection. The supervisor counts connections here, per client and in
 * total, and messages per minute. It counts over all generations, so limits are exact and survive a change of policy. A
 * refused client gets a reply if the port speaks plain text.
 */
import { REPLIES, type Reply } from '../listener/reply.ts';
import type { Counted, FromListener, ToListener } from '../task/messages.ts';
import { ClientCounts } from './clientcounts.ts';
import { chooseMember, type Generation, type Member, type ServedPort } from './generation.ts';
import { MessageRate } from './rate.ts';
import type { Accepted } from './reception.ts';

export interface AdmissionDeps {
  readonly clock: () => number;
  readonly onCounts: (counted: Counted) => void;
  readonly onChange: () => void;
  /** Sessions of all generations. */
  readonly openSessions: () => number;
}

export class Admission {
  readonly #deps: AdmissionDeps;
  readonly #clients = new ClientCounts();
  readonly #rates = {
    client: new MessageRate(),
    login: new MessageRate(),
    recipient: new MessageRate(),
  };

  constructor(deps: AdmissionDeps) {
    this.#deps = deps;
  }

  /** Passes the socket on or ends it. False while no process is ready for it. */
  admit(accepted: Accepted, generation: Generation | undefined): boolean {
    const { socket, port, client } = accepted;
    const servedPort = generation?.ports.get(port);
    const member = generation && chooseMember(generation);
    if (generation && !servedPort) socket.destroy();
    else if (!generation || !servedPort || !member) return false;
    else if (this.#deps.openSessions() >= generation.policy.inbound.limits.connections)
      this.#refuse(accepted, servedPort, REPLIES.tooManySessions);
    else if (this.#clients.of(servedPort.countedAs(client)) >= servedPort.limitConnections(client))
      this.#refuse(accepted, servedPort, REPLIES.tooManyConnections);
    else this.#pass(member, accepted, servedPort);
    return true;
  }

  /** Sessions of this process have ended. */
  ended({ open }: Member, clients: readonly string[]): void {
    for (const client of clients) if (open.remove(client)) this.#clients.remove(client);
  }

  /** The process has ended, and all its sessions with it. */
  gone({ open }: Member): void {
    this.#clients.subtract(open);
  }

  countMessage({ ask, of, who }: Extract<FromListener, { kind: 'count' }>): ToListener {
    return { kind: 'counted', ask, count: this.#rates[of].count(who, this.#deps.clock()) };
  }

  countRefusal(reason: string): void {
    this.#deps.onCounts({ counts: { [`refused{${reason}}`]: 1 }, observations: {} });
  }

  #pass(member: Member, { socket, client, early }: Accepted, servedPort: ServedPort): void {
    const listener = servedPort.listener.name;
    const countedAs = servedPort.countedAs(client);
    member.open.add(countedAs);
    this.#clients.add(countedAs);
    const rest = early ? { early: early.toString('base64') } : {};
    member.process.send({ kind: 'connection', listener, client, countedAs, ...rest }, socket);
    this.#deps.onChange();
  }

  #refuse({ socket }: Accepted, { listener }: ServedPort, { code, text, reason }: Reply): void {
    this.countRefusal(reason);
    if (listener.implicitTLS) socket.destroy();
    else socket.end(`${code} ${text}\r\n`, () => socket.destroy());
  }
}
