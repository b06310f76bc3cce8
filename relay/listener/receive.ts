/**
 * From DATA to the spool: streams the message into a writer that is bounded in memory, and enters it. Gives the queue
 * id once the message is durable; throws a Refusal otherwise, and leaves nothing behind.
 */
import { constants } from 'node:os';
import type { SMTPServerDataStream } from 'smtp-server';
import type { HeaderWork } from '../headers/header.ts';
import { newQueueId } from '../spool/record.ts';
import type { Spool } from '../spool/spool.ts';
import type { Arrival } from './arrival.ts';
import { contentOf } from './content.ts';
import { REPLIES, Refusal } from './reply.ts';

/** The client went away in the middle of the message. */
const ABORTED = new Set<unknown>(['ECONNECTION', 'ERR_STREAM_PREMATURE_CLOSE']);
const FULL = new Set<unknown>(['ENOSPC', 'EDQUOT', constants.errno.ENOSPC, constants.errno.EDQUOT]);

export async function receiveMessage(
  spool: Spool,
  stream: SMTPServerDataStream,
  { envelope, trace, lineEndings }: Arrival,
  work: HeaderWork | null,
  /** Hears its true size, and may throw a Refusal. */
  admit: (bytes: number) => void,
): Promise<{ id: string; bytes: number }> {
  const id = newQueueId(envelope.receivedAt);
  const body = spool.bodyWriter(id);
  let bytes = 0;
  try {
    for await (const chunk of contentOf(stream, { trace: { ...trace, queueId: id }, work, lineEndings })) {
      bytes += chunk.length;
      await body.write(chunk);
    }
    admit(bytes);
    await spool.enter(id, envelope, await body.seal());
    return { id, bytes };
  } catch (error) {
    await body.discard();
    stream.resume();
    throw asRefusal(error);
  }
}

/** What the client hears: our own refusal, or what the disk or the client's own end of the connection did. */
export function asRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  const { code } = error as { code?: string | number };
  if (ABORTED.has(code)) return new Refusal(REPLIES.aborted);
  return new Refusal(FULL.has(code) ? REPLIES.diskFull : REPLIES.diskFailed);
}
