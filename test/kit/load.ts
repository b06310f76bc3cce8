/**
 * Load from a few clients beside each other, each sending message after message and entering what it was told into the
 * ledger. A connection that breaks is opened again: what was on its way then was neither promised nor refused.
 */
import type { Ledger } from './ledger.ts';
import { messageText, SmtpClient } from './smtpclient.ts';

const PAUSE_MS = 20;
/** Of one session: a client that never quits would meet the deadline of every drain. */
const MESSAGES = 50;

export interface Load {
  stop(): Promise<void>;
}

export function startLoad(
  port: number,
  ledger: Ledger,
  name: string,
  clients = 8,
  bytes = 2_000,
  host = '127.0.0.1',
): Load {
  let running = true;
  const work = async (client: number) => {
    for (let round = 0; running; round++) {
      try {
        await converse(client, round);
      } catch {
        // The relay is away: that is what is being tested.
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
        const reply = await session.send('a@client.example', ['b@example.com'], messageText(id, bytes));
        if (reply.startsWith('250')) ledger.promised.add(id);
        else ledger.refused.set(id, reply);
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
