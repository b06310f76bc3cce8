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
import { makeLineFilter } from './linebreaks.ts';
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
  { trace, steps, lineEndings, ownSenders, mostBytes }: ContentTerms,
): AsyncGenerator<Buffer> {
  const loop = new LoopGuard();
  const lines = makeLineFilter(lineEndings);
  const checkSenders = makeSenderCheck(ownSenders);
  const editor = steps && new HeaderEditor(steps, trace);
  let bytes = 0;
  const pass = (chunk: Buffer): Buffer[] => {
    bytes += chunk.length;
    if (stream.sizeExceeded || (mostBytes !== null && bytes > mostBytes)) throw new Refusal(REPLIES.tooLarge);
    if (chunk.length === 0) return [];
    if (!loop.passes(chunk)) throw new Refusal(REPLIES.mailLoop);
    checkSenders(chunk);
    return editor ? editor.push(chunk) : [chunk];
  };
  const front = steps ? renderFront(steps, trace) : undefined;
  if (front?.length) yield front;
  // A refused message is still read to its end, so that the reply comes where the client expects it.
  const pieces = stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  for await (const chunk of pieces) for (const part of pass(lines.push(chunk))) yield part;
  const last = pass(lines.end());
  checkSenders('end');
  yield* last;
  if (editor) yield* editor.end();
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
function makeSenderCheck(own: OwnSenders | undefined): (part: Buffer | 'end') => void {
  if (!own) return () => undefined;
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
