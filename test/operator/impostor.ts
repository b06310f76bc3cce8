/**
 * A program in a pod that says it is of a relay, and answers the operator as no relay does: too much, nonsense, a byte
 * at a time, never, in the name of a pod of others, or with news without end.
 */
import type { ServerResponse } from 'node:http';
import type { PodIdentity, PodStatus } from '#crds/podstatus.ts';
import { podReport, relayObject } from '#test/fixtures/world.ts';

const DRIP_MS = 200;
const REPORT = podReport(relayObject());
const EMPTIED = { state: 'Emptied', message: null } as const;
const DEEP = 200_000;
/** As many as fit into the largest report. */
const WIDE = Object.fromEntries(Array.from({ length: 30_000 }, (_, index) => [`field${index}`, index]));

export class Impostor {
  /** The pod of another tenant in whose name it reports. */
  readonly #victim: PodIdentity;
  readonly #drips = new Set<NodeJS.Timeout>();
  readonly #answers: readonly ((response: ServerResponse) => unknown)[] = [
    (response) => response.end('x'.repeat(2_000_000)),
    (response) => response.end(`${'['.repeat(DEEP)}${']'.repeat(DEEP)}`),
    (response) => response.end(JSON.stringify({ ...REPORT, ...WIDE, revision: `${Math.random()}` })),
    (response) => response.end(JSON.stringify({ ...REPORT, queue: WIDE })),
    (response) => response.end(JSON.stringify(this.#reportOfVictim())),
    (response) => response.end(JSON.stringify({ ...REPORT, revision: `${Math.random()}` })),
    (response) => response.writeHead(500).end(),
    (response) => response.destroy(),
    (response) => this.#drip(response),
    () => undefined,
  ];

  constructor(victim: PodIdentity) {
    this.#victim = victim;
  }

  /** Each address has one way to answer. */
  answer(address: string, response: ServerResponse): void {
    this.#answers[Number(address.split('.').at(-1)) % this.#answers.length]?.(response);
  }

  stop(): void {
    for (const timer of this.#drips) clearInterval(timer);
  }

  #reportOfVictim(): PodStatus {
    return { ...REPORT, identity: this.#victim, evacuation: EMPTIED, revision: `${Math.random()}` };
  }

  #drip(response: ServerResponse): void {
    const timer = setInterval(() => response.write(' '), DRIP_MS);
    this.#drips.add(timer);
    response.once('close', () => {
      clearInterval(timer);
      this.#drips.delete(timer);
    });
  }
}
