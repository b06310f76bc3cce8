/**
 * From DATA to the spool: adds the Received header, streams the body into a writer that is bounded in memory, refuses
 * smuggled line breaks and loops, and enters the message. Gives the queue id once the message is durable; throws a
 * Refusal otherwise, and leaves nothing behind.
 */
import { constants } from 'node:os';
import type { SMTPServerDataStream } from 'smtp-server';
import { newQueueId } from '../spool/record.ts';
import type { Spool } from '../spool/spool.ts';
import type { Arrival } from './arrival.ts';
import { LineBreakGuard } from './linebreaks.ts';
import { LoopGuard, receivedHeader } from './received.ts';
import { REPLIES, Refusal } from './reply.ts';

/** The client went away in the middle of the message. */
const ABORTED = new Set<unknown>(['ECONNECTION', 'ERR_STREAM_PREMATURE_CLOSE']);
const FULL = new Set<unknown>(['ENOSPC', 'EDQUOT', constants.errno.ENOSPC, constants.errno.EDQUOT]);

export async function receiveMessage(
  spool: Spool,
  stream: SMTPServerDataStream,
  arrival: Arrival,
): Promise<{ id: string; bytes: number }> {
  const id = newQueueId(arrival.envelope.receivedAt);
  const body = spool.bodyWriter(id);
  try {
    await body.write(Buffer.from(receivedHeader({ ...arrival.trace, queueId: id })));
    const bytes = await writeBody(stream, (chunk) => body.write(chunk));
    await spool.enter(id, arrival.envelope, await body.seal());
    return { id, bytes };
  } catch (error) {
    await body.discard();
    stream.resume();
    throw asRefusal(error);
  }
}

async function writeBody(
  stream: SMTPServerDataStream,
  write: (chunk: Buffer) => Promise<void>,
): Promise<number> {
  const lines = new LineBreakGuard();
  const loop = new LoopGuard();
  let bytes = 0;
  // A refused message is read to its end all the same, so that the reply comes where the client expects it.
  for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    if (stream.sizeExceeded) throw new Refusal(REPLIES.tooLarge);
    if (!lines.passes(chunk)) throw new Refusal(REPLIES.bareLine);
    if (!loop.passes(chunk)) throw new Refusal(REPLIES.mailLoop);
    bytes += chunk.length;
    await write(chunk);
  }
  if (stream.sizeExceeded) throw new Refusal(REPLIES.tooLarge);
  if (!lines.passesEnd()) throw new Refusal(REPLIES.bareLine);
  return bytes;
}

function asRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  const { code } = error as { code?: string | number };
  if (ABORTED.has(code)) return new Refusal(REPLIES.aborted);
  return new Refusal(FULL.has(code) ? REPLIES.diskFull : REPLIES.diskFailed);
}
