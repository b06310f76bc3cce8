/**
 * From DATA to the spool: streams the message into a writer with bounded memory, and enters it. Returns the queue id
 * when the message is durable. Otherwise throws a Refusal and leaves nothing behind.
 */
import { constants } from 'node:os';
import type { SMTPServerDataStream } from 'smtp-server';
import { encodeAccepted } from '../events/encode.ts';
import { MessageIdFinder } from '../headers/messageid.ts';
import { newQueueId } from '../spool/record.ts';
import type { Spool } from '../spool/spool.ts';
import type { Arrival } from './arrival.ts';
import { readContent } from './content.ts';
import { REPLIES, Refusal } from './reply.ts';

/** The client disconnected during the message. */
const ABORTED = new Set<unknown>(['ECONNECTION', 'ERR_STREAM_PREMATURE_CLOSE']);
const FULL = new Set<unknown>(['ENOSPC', 'EDQUOT', constants.errno.ENOSPC, constants.errno.EDQUOT]);

export async function receiveMessage(
  spool: Spool,
  stream: SMTPServerDataStream,
  { envelope, trace, keepsMessageId, tellsEvents, ...content }: Arrival,
  /** Gets the real size, and may throw a Refusal. */
  admit: (bytes: number) => void,
): Promise<{ id: string; bytes: number }> {
  const id = newQueueId(envelope.receivedAt);
  const body = spool.bodyWriter(id);
  const finder = keepsMessageId ? new MessageIdFinder() : undefined;
  let bytes = 0;
  try {
    for await (const chunk of readContent(stream, { ...content, trace: { ...trace, queueId: id } })) {
      bytes += chunk.length;
      finder?.push(chunk);
      await body.write(chunk);
    }
    // All its recipients are suppressed, and the client is not told.
    if (envelope.recipients.length === 0) {
      await body.discard();
      return { id, bytes };
    }
    admit(bytes);
    const messageId = finder?.found;
    const found = messageId === undefined ? envelope : { ...envelope, messageId };
    const events = tellsEvents ? [encodeAccepted(id, found, bytes)] : [];
    await spool.enter(id, found, await body.seal(), events);
    return { id, bytes };
  } catch (error) {
    await body.discard();
    stream.resume();
    throw asRefusal(error);
  }
}

/** The reply for the client: our own refusal, an error of the disk, or the end of the connection. */
export function asRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  const { code } = error as { code?: string | number };
  if (ABORTED.has(code)) return new Refusal(REPLIES.aborted);
  return new Refusal(FULL.has(code) ? REPLIES.diskFull : REPLIES.diskFailed);
}
