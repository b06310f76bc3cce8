/**
 * The bytes of a message as they stream by: refused for bare line breaks, loops and size, with our Received header in
 * front and the header work of those who may relay. Bounded memory; a refusal throws.
 */
import type { SMTPServerDataStream } from 'smtp-server';
import { HeaderEditor, type HeaderWork } from '../headers/header.ts';
import { LineBreakGuard } from './linebreaks.ts';
import { LoopGuard, receivedHeader, type Trace } from './received.ts';
import { REPLIES, Refusal } from './reply.ts';

export interface ContentTerms {
  readonly trace: Trace;
  /** null: the message is passed on as it is. */
  readonly work: HeaderWork | null;
}

export async function* contentOf(
  stream: SMTPServerDataStream,
  { trace, work }: ContentTerms,
): AsyncGenerator<Buffer> {
  const lines = new LineBreakGuard();
  const loop = new LoopGuard();
  const editor =
    work &&
    new HeaderEditor(
      work,
      () => trace.queueId,
      () => trace.at,
    );
  yield Buffer.from(receivedHeader(trace));
  // A refused message is read to its end all the same, so that the reply comes where the client expects it.
  for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    if (stream.sizeExceeded) throw new Refusal(REPLIES.tooLarge);
    if (!lines.passes(chunk)) throw new Refusal(REPLIES.bareLine);
    if (!loop.passes(chunk)) throw new Refusal(REPLIES.mailLoop);
    if (editor) yield* editor.push(chunk);
    else yield chunk;
  }
  if (stream.sizeExceeded) throw new Refusal(REPLIES.tooLarge);
  if (!lines.passesEnd()) throw new Refusal(REPLIES.bareLine);
  if (editor) yield* editor.end();
}
