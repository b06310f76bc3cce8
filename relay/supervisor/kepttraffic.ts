/**
 * What is known of the traffic of the last seven days, kept in the state folder over a restart: clients in plain text, and
 * how deliveries were protected.
 */
import type { Log } from '../observe/log.ts';
import { wall } from '../task/clock.ts';
import { keep, readKept } from './keptfile.ts';
import { OutboundPosture } from './outboundposture.ts';
import { PlaintextClients } from './plaintext.ts';

const KEEP_MS = 60_000;

export class KeptTraffic {
  readonly #stateDir: string;
  readonly #log: Log;
  #timer: NodeJS.Timeout | undefined;
  readonly plaintext: PlaintextClients;
  readonly outbound: OutboundPosture;

  constructor(stateDir: string, log: Log) {
    this.#stateDir = stateDir;
    this.#log = log;
    this.plaintext = new PlaintextClients(wall, readKept(stateDir, 'plaintext'));
    this.outbound = new OutboundPosture(wall, readKept(stateDir, 'outbound'));
  }

  start(): void {
    this.#timer = setInterval(() => this.#keep(), KEEP_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#keep();
  }

  #keep(): void {
    for (const what of ['plaintext', 'outbound'] as const) {
      const news = this[what].news();
      if (news !== undefined) keep(this.#stateDir, this.#log, what, news);
    }
  }
}
