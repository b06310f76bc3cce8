/**
 * Many sessions at the same time that stay open. They are opened a few at a time, so that a test meets the limits of
 * the relay and not the backlog of its port.
 */
import { SmtpClient } from './smtpclient.ts';

const AT_A_TIME = 50;

export class Crowd {
  readonly #sessions: SmtpClient[] = [];

  /** Opens `count` sessions. `begin` brings each into the state in which it stays. */
  static async gather(
    port: number,
    count: number,
    begin: (session: SmtpClient, index: number) => Promise<void>,
  ): Promise<Crowd> {
    const crowd = new Crowd();
    let next = 0;
    const open = async () => {
      for (let index = next++; index < count; index = next++) {
        const session = await SmtpClient.connect(port);
        crowd.#sessions.push(session);
        await begin(session, index);
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, open));
    return crowd;
  }

  /** The number of open sessions. */
  get open(): number {
    return this.#sessions.filter(({ ended }) => !ended).length;
  }

  /** Sends a command in each session; the replies. */
  ask(line: string): Promise<string[]> {
    return Promise.all(this.#sessions.map((session) => session.command(line)));
  }

  /** The next `count` sessions send this text. Repeated calls reach all sessions in turn. */
  sayNext(text: string, count: number): void {
    const next = this.#sessions.splice(0, count);
    for (const session of next) session.write(text);
    this.#sessions.push(...next);
  }

  leave(): void {
    for (const session of this.#sessions) session.close();
  }
}
