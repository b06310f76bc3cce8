/**
 * The content of a message as a stream. Bare line breaks are refused or changed, and loops, oversize and the sender of
 * another login are refused. Then the header steps of the message run (headers/steps.ts). Memory is bounded. A refusal throws.
 */
import type { SMTPServerDataStream } from 'smtp-server';
import type { LineEndings } from '#crds/policyfile.ts';
import { FirstLine } from '../headers/firstline.ts';
import { HeaderEditor, type HeaderStep } from '../headers/header.ts';
import { OriginatorGuard } from '../headers/originators.ts';
import type { Trace } from '../headers/received.ts';
import { clearedLines } from './linebreaks.ts';
import { LoopGuard } from './loopguard.ts';
import { REPLIES, Refusal } from './reply.ts';
import { type OwnSenders, refusalOfHeader } from './senderlogins.ts';

export interface ContentTerms {
  readonly trace: Trace;
  readonly steps: readonly HeaderStep[];
  readonly lineEndings: LineEndings;
  /** Undefined: the client may use any sender. */
  readonly ownSenders: OwnSenders | undefined;
  /** null: only the limit of the session holds. */
  readonly mostBytes: number | null;
}

export async function* readContent(
  stream: SMTPServerDataStream,
  { trace, steps, lineEndings, ownSenders, mostBytes }: ContentTerms,
): AsyncGenerator<Buffer> {
  const loop = new LoopGuard();
  const first = new FirstLine();
  const checkSenders = makeSenderCheck(ownSenders);
  const editor = new HeaderEditor(steps, trace);
  const front = steps.map((step) => step.front?.(trace) ?? '').join('');
  if (front !== '') yield Buffer.from(front);
  // A refused message is still read to its end, so that the reply comes where the client expects it.
  const pieces = stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  let bytes = 0;
  for await (const chunk of clearedLines(pieces, lineEndings)) {
    bytes += chunk.length;
    if (stream.sizeExceeded || (mostBytes !== null && bytes > mostBytes)) throw new Refusal(REPLIES.tooLarge);
    if (!loop.passes(chunk)) throw new Refusal(REPLIES.mailLoop);
    for (const part of first.push(chunk)) {
      checkSenders(part);
      yield* editor.push(part);
    }
  }
  if (stream.sizeExceeded) throw new Refusal(REPLIES.tooLarge);
  for (const part of first.end()) {
    checkSenders(part);
    yield* editor.push(part);
  }
  checkSenders('end');
  yield* editor.end();
}

/** Throws for a From that the client may not use. */
function makeSenderCheck(own: OwnSenders | undefined): (part: Buffer | 'end') => void {
  if (!own) return () => undefined;
  const guard = new OriginatorGuard(own.allows);
  return (part) => {
    const fault = part === 'end' ? guard.end() : guard.push(part);
    if (fault) throw new Refusal(refusalOfHeader(own, fault));
  };
}
