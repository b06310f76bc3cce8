/**
 * The live view of `mailrelay run` on a terminal: it draws viewtext.ts on the second screen of the terminal, each second
 * and after each change of its size, and only if the lines differ. The log goes to a file in the state folder. Whatever ends
 * the process, the terminal gets its first screen back.
 */
import { openSync, readFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { styleText } from 'node:util';
import { describeFileError } from '#crds/systemwords.ts';
import { makeFolder } from '#relay/task/folder.ts';
import { DeliveryTail } from './deliverytail.ts';
import { LOG_NAME } from './runnote.ts';
import type { RunOutput } from './runoutput.ts';
import type { RunFacts } from './runtext.ts';
import type { TakenMessage } from './sink/taken.ts';
import { drawFrame } from './viewframe.ts';
import { type Notice, renderView, type Tone, type ViewLine } from './viewtext.ts';

const DRAW_MS = 1_000;
/** A log that is longer when the relay starts is put aside, as relay.log.1. */
const LONG_LOG = 16 * 1024 * 1024;
const MOST_NOTICES = 20;
const MOST_TAKEN = 100;

/** The second screen, without a cursor and without wrapping; and back. */
const OPEN = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const CLOSE = '\x1b[?7h\x1b[?25h\x1b[?1049l';
const CTRL_C = '\x03';

const STYLES: Readonly<Record<Tone, Parameters<typeof styleText>[0] | undefined>> = {
  plain: undefined,
  good: ['bold', 'green'],
  fault: 'red',
  quiet: 'dim',
};

export class LiveView implements RunOutput {
  readonly logFd: number;
  readonly #logFile: string;
  readonly #tail: DeliveryTail;
  #look: (() => RunFacts) | undefined;
  #notices: readonly Notice[] = [];
  #taken: readonly TakenMessage[] = [];
  #drawn = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(stateDir: string) {
    this.#logFile = join(stateDir, LOG_NAME);
    try {
      makeFolder(stateDir);
      if ((statSync(this.#logFile, { throwIfNoEntry: false })?.size ?? 0) > LONG_LOG)
        renameSync(this.#logFile, `${this.#logFile}.1`);
      this.logFd = openSync(this.#logFile, 'a', 0o600);
    } catch (error) {
      throw describeFileError('write', this.#logFile, error);
    }
    this.#tail = new DeliveryTail(this.#logFile);
  }

  start(look: () => RunFacts): void {
    this.#look = look;
    process.stdout.write(OPEN);
    process.on('exit', this.#close);
    process.stdout.on('resize', this.#redraw);
    this.#readKeys();
    this.#timer = setInterval(this.#draw, DRAW_MS);
    this.#draw();
  }

  tell(text: string): void {
    const notice = { time: new Date().toISOString(), text };
    this.#notices = [notice, ...this.#notices].slice(0, MOST_NOTICES);
    this.#draw();
  }

  taken(message: TakenMessage): void {
    this.#taken = [message, ...this.#taken].slice(0, MOST_TAKEN);
    this.#draw();
  }

  end(): void {
    const { depth } = this.#look?.().status.queue ?? { depth: 0 };
    process.off('exit', this.#close);
    this.#close();
    const waits = depth === 0 ? '' : ` ${depth} in the queue wait for the next start.`;
    process.stdout.write(`The relay has ended.${waits} Its log: ${this.#logFile}\n`);
  }

  readonly #close = (): void => {
    clearInterval(this.#timer);
    process.stdout.off('resize', this.#redraw);
    this.#look = undefined;
    this.#tail.close();
    if (process.stdin.isTTY) process.stdin.setRawMode(false).pause();
    process.stdout.write(CLOSE);
  };

  /** Keys are not echoed, which would spoil the view; so Ctrl-C comes as a character. */
  #readKeys(): void {
    if (!process.stdin.isTTY) return;
    process.stdin.setRawMode(true);
    process.stdin.on('data', (keys) => {
      if (String(keys).includes(CTRL_C)) process.kill(process.pid, 'SIGINT');
    });
  }

  readonly #redraw = (): void => {
    this.#drawn = '';
    this.#draw();
  };

  readonly #draw = (): void => {
    if (!this.#look) return;
    // A terminal that does not know its size says 0.
    const [columns, rows] = [process.stdout.columns || 80, process.stdout.rows || 24];
    const facts = {
      ...this.#look(),
      logFile: this.#logFile,
      deliveries: this.#tail.read(),
      taken: this.#taken,
      notices: this.#notices,
    };
    const lines = renderView(facts, Date.now(), { columns, rows }).map(paint);
    const text = drawFrame(lines, rows);
    if (text === this.#drawn) return;
    this.#drawn = text;
    process.stdout.write(text);
  };
}

/** Without styles under NO_COLOR. */
function paint({ text, tone }: ViewLine): string {
  const style = STYLES[tone];
  return style === undefined ? text : styleText(style, text);
}

/** A terminal that can move its cursor, and that this process may use: a process in the background may not. */
export function canShowView(): boolean {
  return process.stdout.isTTY && !['', 'dumb'].includes(process.env['TERM'] ?? '') && isInForeground();
}

/** Linux tells it (proc_pid_stat(5)). Elsewhere a terminal is taken as ours. */
function isInForeground(): boolean {
  try {
    const [, fields = ''] = /\) (.*)/s.exec(readFileSync('/proc/self/stat', 'utf8')) ?? [];
    const [, , group, , , foreground] = fields.split(' ');
    return group === foreground;
  } catch {
    return true;
  }
}
