/** The scenarios that peers are compared in. What each adds to the one before it stands in docs/performance.md. */
import type { LoadTerms } from './load.ts';

export interface Scenario {
  readonly letter: string;
  readonly title: string;
  readonly load: LoadTerms;
  readonly cutThrough: boolean;
  /** Measured in a run of full length; half as many warm it up. */
  readonly messages: number;
}

const A: LoadTerms = {
  starttls: true,
  pipelining: false,
  connections: 50,
  perConnection: 10,
  bytes: 10_240,
};

const scenario = (
  letter: string,
  messages: number,
  title: string,
  change: Partial<LoadTerms>,
  cutThrough = false,
): Scenario => ({ letter, messages, title, load: { ...A, ...change }, cutThrough });

export const SCENARIOS: readonly Scenario[] = [
  scenario('A', 10_000, '10 KB, STARTTLS in and out, 10 messages a connection', {}),
  scenario('B', 2_000, 'as A, 1 message a connection', { perConnection: 1 }),
  scenario('C', 10_000, 'as A, in plain text', { starttls: false }),
  scenario('D', 10_000, 'as A, 1 KB', { bytes: 1_024 }),
  scenario('E', 600, 'as A, 1 MB', { bytes: 1_048_576 }),
  scenario('F', 10_000, 'as A, cut-through', {}, true),
  scenario('P', 10_000, 'as A, the client pipelines MAIL, RCPT and DATA', { pipelining: true }),
];
