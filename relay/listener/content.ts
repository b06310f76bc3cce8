/**
 * The content of a message as a stream. Bare line breaks are refused or changed, and loops and oversize are refused.
 * Our Received header goes first. Messages of authorized clients also get the header changes. Memory is bounded. A
 * refusal throws.
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
  /** null: the header is not changed. */
  readonly work: HeaderWork | null;
  readonly lineEndings: LineEndings;
  /** null: only the limit of the session holds. */
  readonly mostBytes: number | null;
}

export async function* readContent(
  stream: SMTPServerDataStream,
  { trace, work, lineEndings, mostBytes }: ContentTerms,
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
  // A refused message is still read to its end, so that the reply comes where the client expects it.
  const pieces = stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  let bytes = 0;
  for await (const chunk of clearedLines(pieces, lineEndings)) {
    bytes += chunk.length;
    if (stream.sizeExceeded || (mostBytes !== null && bytes > mostBytes)) throw new Refusal(REPLIES.tooLarge);
    if (!loop.passes(chunk)) throw new Refusal(REPLIES.mailLoop);
    for (const part of first.push(chunk)) yield* editor ? editor.push(part) : [part];
  }
  if (stream.sizeExceeded) throw new Refusal(REPLIES.tooLarge);
  for (const part of first.end()) yield* editor ? editor.push(part) : [part];
  if (editor) yield* editor.end();
}
