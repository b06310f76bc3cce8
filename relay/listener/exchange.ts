/**
 * One login as a dialogue. Each response of the client (base64, unchanged) leads to a challenge, a login or a refusal.
 * Rejects by an error of our own only.
 */
import type { Login } from '../auth/users.ts';
import type { Reply } from './reply.ts';

export type Said =
  | { kind: 'challenge' /** base64 */; text: string }
  | { kind: 'login'; login: Login }
  | { kind: 'refused'; reply: Reply };

export type Exchange = (response: string) => Promise<Said>;
