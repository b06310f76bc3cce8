/**
 * Load from a few clients at the same time. Each sends message after message and enters the replies into the ledger. A
 * client opens a broken connection again; the message that was on its way is then neither promised nor refused.
 */
import type { Ledger } from './ledger.ts';
import { messageText, SmtpClient } from './smtpclient.ts';

const PAUSE_MS = 20;
const BYTES = 2_000;
/** Messages in one session. A client that never quits would delay every drain until its deadline. */
const MESSAGES = 50;

export interface Load {
  stop(): Promise<void>;
}

export interface LoadOptions {
  readonly clients?: number;
  readonly host?: string;
  /** After each message. Clients without pauses take the machine from everything else that runs on it. */
  readonly pauseMs?: number;
}

export function startLoad(
  port: number,
  ledger: Ledger,
  name: string,
  { clients = 8, host = '127.0.0.1', pauseMs = 0 }: LoadOptions = {},
): Load {
  let running = true;
  const work = async (client: number) => {
    for (let round = 0; running; round++) {
      try {
        await converse(client, round);
      } catch {
        // The relay is away, as the test intends.
        await new Promise((tick) => setTimeout(tick, PAUSE_MS));
      }
    }
  };
  const converse = async (client: number, round: number) => {
    const session = await SmtpClient.connect(port, host);
    try {
      await session.hello();
      for (let count = 0; running && count < MESSAGES; count++) {
        const id = `${name}-${client}-${round}-${count}`;
        const reply = await session.send('a@client.example', ['b@example.com'], messageText(id, BYTES));
        if (reply.startsWith('250')) ledger.promised.add(id);
        else ledger.refused.set(id, reply);
        if (pauseMs > 0) await new Promise((tick) => setTimeout(tick, pauseMs));
      }
      await session.quit();
    } finally {
      session.close();
    }
  };
  const all = Promise.all(Array.from({ length: clients }, (_, client) => work(client)));
  return {
    stop: async () => {
      running = false;
      await all;
    },
  };
}
