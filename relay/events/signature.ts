/**
 * The signature of a request as Standard Webhooks has it: HMAC-SHA256 over id, time and body, in base64, once for each
 * key. Pure.
 */
import { createHmac } from 'node:crypto';

const PREFIX = 'whsec_';
const KEY_BYTES = { least: 24, most: 64 };

/** The keys in the text of a Secret; undefined if one of them is none, or if there is none. */
export function readKeys(text: string | undefined): readonly Buffer[] | undefined {
  const words = text?.split(/\s+/).filter(Boolean) ?? [];
  const keys = words.map(readKey);
  return keys.length > 0 && keys.every((key) => key !== undefined) ? keys : undefined;
}

function readKey(word: string): Buffer | undefined {
  const base64 = word.startsWith(PREFIX) ? word.slice(PREFIX.length) : '';
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return undefined;
  const key = Buffer.from(base64, 'base64');
  return key.length >= KEY_BYTES.least && key.length <= KEY_BYTES.most ? key : undefined;
}

/** The headers of a request. `sentAt` is in milliseconds since the epoch. */
export function signRequest(
  keys: readonly Buffer[],
  { id, sentAt, body }: { readonly id: string; readonly sentAt: number; readonly body: Buffer },
): Readonly<Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string>> {
  const timestamp = String(Math.floor(sentAt / 1000));
  const signatures = keys.map((key) => {
    const hmac = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body);
    return `v1,${hmac.digest('base64')}`;
  });
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatures.join(' '),
  };
}
