/**
 * The client side of the login mechanisms, step by step; each function returns the last reply. Uses no code of the
 * relay.
 */
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import type { SmtpClient } from './smtpclient.ts';

export function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

export function plain(user: string, password: string): string {
  return base64(`\0${user}\0${password}`);
}

export function xoauth2(user: string, token: string): string {
  return base64(`user=${user}\x01auth=Bearer ${token}\x01\x01`);
}

export function oauthBearer(token: string): string {
  return base64(`n,,\x01auth=Bearer ${token}\x01\x01`);
}

export async function loginByLogin(client: SmtpClient, user: string, password: string): Promise<string> {
  await client.command('AUTH LOGIN');
  await client.command(base64(user));
  return client.command(base64(password));
}

/** The client side of RFC 5802. Throws if the server does not prove that it knows the password. */
export async function loginByScram(client: SmtpClient, user: string, password: string): Promise<string> {
  const bare = `n=${user},r=clientnonce`;
  const challenge = textOf(await client.command(`AUTH SCRAM-SHA-256 ${base64(`n,,${bare}`)}`));
  const [, nonce = '', salt = '', iterations = ''] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(challenge) ?? [];
  const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(iterations), 32, 'sha256');
  const hmac = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest();
  const clientKey = hmac(salted, 'Client Key');
  const withoutProof = `c=biws,r=${nonce}`;
  const message = `${bare},${challenge},${withoutProof}`;
  const signature = hmac(createHash('sha256').update(clientKey).digest(), message);
  const proof = Buffer.from(clientKey.map((byte, index) => byte ^ (signature[index] ?? 0)));
  const reply = await client.command(base64(`${withoutProof},p=${proof.toString('base64')}`));
  if (!reply.startsWith('334')) return reply;
  const proven = `v=${hmac(hmac(salted, 'Server Key'), message).toString('base64')}`;
  if (textOf(reply) !== proven) throw new Error(`The server's proof is wrong: ${reply}`);
  return client.command('');
}

function textOf(reply: string): string {
  return Buffer.from(reply.replace(/^334 /, ''), 'base64').toString();
}
