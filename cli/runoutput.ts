/** How `mailrelay run` speaks to a person: plain lines here, the live view in liveview.ts. */
import { visibleLines } from '#crds/visible.ts';
import { describeStart, type RunFacts } from './runtext.ts';
import type { TakenMessage } from './sink/taken.ts';
import { describeTaken } from './sinktext.ts';

export interface RunOutput {
  /** Where the log lines of all processes go. */
  readonly logFd: number;
  /** The relay is up. `look` reads the facts of the moment. */
  start(look: () => RunFacts): void;
  tell(text: string): void;
  /** The sink took a message. */
  taken(message: TakenMessage): void;
  end(): void;
}

export const PLAIN_OUTPUT: RunOutput = {
  logFd: 2,
  start: (look) => void process.stdout.write(visibleLines(describeStart(look()))),
  tell: (text) => void process.stdout.write(`${visibleLines(text)}\n`),
  taken: (message) => void process.stdout.write(describeTaken(message)),
  end: () => undefined,
};
