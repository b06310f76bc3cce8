/**
 * From DATA to the spool: adds the Received header, streams the body into a writer that is bounded in memory, refuses
 * smuggled line breaks and loops, and enters the message. Gives the queue id once the message is durable; throws a
 * Refusal otherwise, and leaves nothing behind.
 */
import type { SMTPServerDataStream } from 'smtp-server';
import { type Envelope, newQueueId } from '../spool/record.ts';
import type { Spool } from '../spool/spool.ts';
import { LineBreakGuard } from './linebreaks.ts';
import { LoopGuard, receivedHeader, type Trace } from './received.ts';
import { REPLIES, Refusal } from './reply.ts';

export interface Arrival {
  readonly envelope: Envelope;
  readonly trace: Omit<Trace, 'queueId'>;
}

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
  const full =
    (error as NodeJS.ErrnoException).code === 'ENOSPC' || /no space|MDB_MAP_FULL/i.test(String(error));
  return new Refusal(full ? REPLIES.diskFull : REPLIES.diskFailed);
}
