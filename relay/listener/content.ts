/**
 * The content of a message as a stream. Bare line breaks are refused or changed, and loops, oversize and the sender of
 * another login are refused. Then the header steps of the message run (headers/steps.ts). Memory is bounded. A refusal throws.
 */
import type { SMTPServerDataStream } from 'smtp-server';
import type { LineEndings } from '#crds/policyfile.ts';
import { FirstLine } from '../headers/firstline.ts';
import { HeaderEditor, type HeaderSteps } from '../headers/header.ts';
import { OriginatorGuard } from '../headers/originators.ts';
import type { Trace } from '../headers/received.ts';
import { makeLineFilter } from './linebreaks.ts';
import { LoopGuard } from './loopguard.ts';
import { REPLIES, Refusal } from './reply.ts';
import { type OwnSenders, refusalOfHeader } from './senderlogins.ts';

export interface ContentTerms {
  readonly trace: Trace;
  readonly steps: HeaderSteps;
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
  const first = new FirstLine();
  const checkSenders = makeSenderCheck(ownSenders);
  const editor = new HeaderEditor(steps, trace);
  const edit = (part: Buffer): Buffer[] => {
    checkSenders(part);
    return editor.push(part);
  };
  let bytes = 0;
  const pass = (chunk: Buffer): Buffer[] => {
    bytes += chunk.length;
    if (stream.sizeExceeded || (mostBytes !== null && bytes > mostBytes)) throw new Refusal(REPLIES.tooLarge);
    if (chunk.length === 0) return [];
    if (!loop.passes(chunk)) throw new Refusal(REPLIES.mailLoop);
    return first.push(chunk).flatMap(edit);
  };
  const front = renderFront(steps, trace);
  if (front.length > 0) yield front;
  // A refused message is still read to its end, so that the reply comes where the client expects it.
  const pieces = stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  for await (const chunk of pieces) for (const part of pass(lines.push(chunk))) yield part;
  const last = [...pass(lines.end()), ...first.end().flatMap(edit)];
  checkSenders('end');
  for (const part of [...last, ...editor.end()]) yield part;
}

/** The same steps for a message that was read before without them. */
export async function* editContent(
  content: AsyncIterable<Buffer>,
  { trace, steps }: Pick<ContentTerms, 'trace' | 'steps'>,
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
  return (part) => {
    const fault = part === 'end' ? guard.end() : guard.push(part);
    if (fault) throw new Refusal(refusalOfHeader(own, fault));
  };
}
