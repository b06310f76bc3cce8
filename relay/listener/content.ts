/**
 * The content of a message as a stream. Bare line breaks are refused or changed, and loops, oversize and the sender of
 * another login are refused. Then the header steps of the message run (headers/steps.ts), unless judges see it first. Memory
 * is bounded. A refusal throws.
 */
import type { SMTPServerDataStream } from 'smtp-server';
import type { LineEndings } from '#crds/policyfile.ts';
import { FirstLine } from '../headers/firstline.ts';
import { HeaderEditor, type HeaderSteps } from '../headers/header.ts';
import { type OriginatorFault, OriginatorGuard } from '../headers/originators.ts';
import type { Trace } from '../headers/received.ts';
import { type LineFilter, makeLineFilter } from './linebreaks.ts';
import { LoopGuard } from './loopguard.ts';
import { REPLIES, Refusal } from './reply.ts';
import { type OwnSenders, refusalOfHeader } from './senderlogins.ts';

export interface ContentTerms {
  readonly trace: Trace;
  /** null: the message stays as it was received. */
  readonly steps: HeaderSteps | null;
  readonly lineEndings: LineEndings;
  /** Undefined: the client may use any sender. */
  readonly ownSenders: OwnSenders | undefined;
  /** null: only the limit of the session holds. */
  readonly mostBytes: number | null;
}

export async function* readContent(
  stream: SMTPServerDataStream,
  terms: ContentTerms,
): AsyncGenerator<Buffer> {
  const content = new Content(stream, terms);
  // A refused message is still read to its end, so that the reply comes where the client expects it.
  const pieces = stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  for await (const chunk of pieces) yield* content.push(chunk);
  yield* content.end();
}

/**
 * The same for a reader that takes parts as they come, which costs a third: no promise for each part. A promise that `take`
 * returns holds the stream back. Settles when the last of them has settled, so no body is given up during a write.
 */
export function passContent(
  stream: SMTPServerDataStream,
  terms: ContentTerms,
  take: (parts: readonly Buffer[]) => Promise<void> | undefined,
): Promise<void> {
  const content = new Content(stream, terms);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let taking: Promise<void> | undefined;
  const fail = (error: unknown) => {
    stream.off('data', onData);
    stream.off('end', onEnd);
    const tell = () => reject(error);
    if (taking) taking.then(tell, tell);
    else tell();
  };
  const onData = (chunk: Buffer) => {
    try {
      taking = take(content.push(chunk));
    } catch (error) {
      fail(error);
      return;
    }
    if (!taking) return;
    stream.pause();
    taking.then(() => stream.resume(), fail);
  };
  // It comes with the last chunk, also while the stream is held back.
  const onEnd = () => {
    const takeRest = () => take(content.end());
    try {
      resolve(taking ? taking.then(takeRest) : takeRest());
    } catch (error) {
      fail(error);
    }
  };
  stream.on('data', onData);
  stream.once('end', onEnd);
  stream.once('error', fail);
  stream.once('close', () => {
    if (!stream.readableEnded) fail(new Refusal(REPLIES.aborted));
  });
  return promise;
}

/** The checks and changes of one message. Its parts come in their order. */
class Content {
  readonly #stream: SMTPServerDataStream;
  readonly #mostBytes: number;
  readonly #lines: LineFilter;
  readonly #loop = new LoopGuard();
  readonly #checkSenders: SenderCheck | undefined;
  readonly #editor: HeaderEditor | null;
  /** What goes before the message. */
  #front: readonly Buffer[];
  #bytes = 0;

  constructor(
    stream: SMTPServerDataStream,
    { trace, steps, lineEndings, ownSenders, mostBytes }: ContentTerms,
  ) {
    this.#stream = stream;
    this.#mostBytes = mostBytes ?? Number.POSITIVE_INFINITY;
    this.#lines = makeLineFilter(lineEndings);
    this.#checkSenders = ownSenders && makeSenderCheck(ownSenders);
    this.#editor = steps && new HeaderEditor(steps, trace);
    const front = steps && renderFront(steps, trace);
    this.#front = front?.length ? [front] : [];
  }

  push(chunk: Buffer): Buffer[] {
    return this.#pass(this.#lines.push(chunk));
  }

  end(): Buffer[] {
    const last = this.#pass(this.#lines.end());
    this.#checkSenders?.('end');
    return this.#editor ? [...last, ...this.#editor.end()] : last;
  }

  #pass(chunk: Buffer): Buffer[] {
    this.#bytes += chunk.length;
    if (this.#stream.sizeExceeded || this.#bytes > this.#mostBytes) throw new Refusal(REPLIES.tooLarge);
    const front = this.#front;
    this.#front = [];
    if (chunk.length === 0) return [...front];
    if (!this.#loop.passes(chunk)) throw new Refusal(REPLIES.mailLoop);
    this.#checkSenders?.(chunk);
    return [...front, ...(this.#editor ? this.#editor.push(chunk) : [chunk])];
  }
}

/** The same steps for a message that was read before without them. */
export async function* editContent(
  content: AsyncIterable<Buffer>,
  { trace, steps }: { readonly trace: Trace; readonly steps: HeaderSteps },
): AsyncGenerator<Buffer> {
  const editor = new HeaderEditor(steps, trace);
  yield renderFront(steps, trace);
  for await (const chunk of content) yield* editor.push(chunk);
  yield* editor.end();
}

function renderFront({ front }: HeaderSteps, trace: Trace): Buffer {
  return Buffer.from(front.map((render) => render(trace)).join(''));
}

/** Throws for a From that the client may not use. */
type SenderCheck = (part: Buffer | 'end') => void;

function makeSenderCheck(own: OwnSenders): SenderCheck {
  const guard = new OriginatorGuard(own.allows);
  // It judges what readers will see.
  const first = new FirstLine();
  const refuse = (fault: OriginatorFault | undefined) => {
    if (fault) throw new Refusal(refusalOfHeader(own, fault));
  };
  return (part) => {
    for (const one of part === 'end' ? first.end() : first.push(part)) refuse(guard.push(one));
    if (part === 'end') refuse(guard.end());
  };
}
