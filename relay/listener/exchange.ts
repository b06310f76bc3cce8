/**
 * One login as a conversation: what the client responds (base64, as it came) leads to a challenge, to a login or to a
 * refusal. Never rejects.
 */
import type { Reply } from './reply.ts';

export type Said =
  | { kind: 'challenge' /** base64 */; text: string }
  | { kind: 'login'; login: string }
  | { kind: 'refused'; reply: Reply };

export type Exchange = (response: string) => Promise<Said>;
