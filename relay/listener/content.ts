/**
 * The bytes of a message as they stream by: refused for or cleared of bare line breaks, refused for loops and size, with our Received header in
 * front and the header work of those who may relay. Bounded memory; a refusal throws.
 */
import type { SMTPServerDataStream } from 'smtp-server';
import type { LineEndings } from '#crds/policyfile.ts';
import { FirstLine } from '../headers/firstline.ts';
import { HeaderEditor, type HeaderWork } from '../headers/header.ts';
import { clearedLines } from './linebreaks.ts';
import { LoopGuard, receivedHeader, type Trace } from './received.ts';
import { REPLIES, Refusal } from './reply.ts';

export interface ContentTerms {
  readonly trace: Trace;
  /** null: the message is passed on as it is. */
  readonly work: HeaderWork | null;
  readonly lineEndings: LineEndings;
}

export async function* contentOf(
  stream: SMTPServerDataStream,
  { trace, work, lineEndings }: ContentTerms,
): AsyncGenerator<Buffer> {
  const loop = new LoopGuard();
  const first = new FirstLine();
  const editor =
    work &&
    new HeaderEditor(
      work,
      () => trace.queueId,
      () => trace.at,
    );
  yield Buffer.from(receivedHeader(trace));
  // A refused message is read to its end all the same, so that the reply comes where the client expects it.
  const bytes = stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  for await (const chunk of clearedLines(bytes, lineEndings)) {
    if (stream.sizeExceeded) throw new Refusal(REPLIES.tooLarge);
    if (!loop.passes(chunk)) throw new Refusal(REPLIES.mailLoop);
    for (const part of first.push(chunk)) yield* editor ? editor.push(part) : [part];
  }
  if (stream.sizeExceeded) throw new Refusal(REPLIES.tooLarge);
  for (const part of first.end()) yield* editor ? editor.push(part) : [part];
  if (editor) yield* editor.end();
}
