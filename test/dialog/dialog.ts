/**
 * SMTP conversations as text. A file begins with the listener it speaks to (and the client's address), then each line
 * is one step:
 *
 *   S: 250 *          the next reply; a star stands for anything; a reply of many lines is matched by its last one
 *   S+ STARTTLS       the last reply has a line with this
 *   S- STARTTLS       it has none
 *   C: MAIL FROM:<>   a line, ended by CRLF
 *   RAW a\r\nb\n      bytes, with \r \n \0 \t and \xHH
 *   BODY 20000        that many bytes of body lines
 *   TLS               the handshake; RST a reset; FIN no more is sent; END the server closes
 *
 * Fails with the file, the line, and what was said instead.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';

export interface Dialog {
  readonly listener: string;
  readonly from: string;
  readonly steps: readonly { readonly line: number; readonly text: string }[];
}

export function readDialog(path: string): Dialog {
  const lines = readFileSync(path, 'utf8').split('\n');
  const header = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
  const listener = header('listener');
  if (!listener) throw new Error(`${path} names no listener`);
  const begin = lines.indexOf('---');
  const steps = lines
    .map((text, index) => ({ line: index + 1, text }))
    .filter(({ line, text }) => line > begin + 1 && text !== '' && !text.startsWith('#'));
  return { listener, from: header('from') ?? '127.0.0.2', steps };
}

export async function play({ from, steps }: Dialog, port: number, implicitTls: boolean): Promise<void> {
  const client = implicitTls
    ? await SmtpClient.connectTls(port, {})
    : await SmtpClient.connect(port, '127.0.0.1', from);
  let reply = '';
  try {
    for (const { line, text } of steps) {
      try {
        reply = (await step(client, text, reply)) ?? reply;
      } catch (error) {
        throw new Error(`line ${line}: ${text}: ${(error as Error).message}`);
      }
    }
  } finally {
    client.close();
  }
}

/** The reply, when the step heard one. */
async function step(client: SmtpClient, text: string, last: string): Promise<string | undefined> {
  const [, verb = '', rest = ''] = /^(\S+) ?(.*)$/.exec(text) ?? [];
  switch (verb) {
    case 'S:':
      return expectReply(await client.reply(), rest);
    case 'S+':
      assert.ok(last.includes(rest), `the reply was "${last}"`);
      return undefined;
    case 'S-':
      assert.ok(!last.includes(rest), `the reply was "${last}"`);
      return undefined;
    case 'C:':
      client.write(`${rest}\r\n`);
      return undefined;
    case 'RAW':
      client.write(bytesOf(rest));
      return undefined;
    case 'BODY':
      client.write(`${'x'.repeat(70)}\r\n`.repeat(Math.ceil(Number(rest) / 72)));
      return undefined;
    case 'TLS':
      await client.startTls({});
      return undefined;
    case 'FIN':
      client.finish();
      return undefined;
    case 'RST':
      client.reset();
      return undefined;
    case 'END':
      await until('the server to close', () => client.ended, 60_000);
      return undefined;
    default:
      throw new Error(`There is no step "${verb}"`);
  }
}

function expectReply(reply: string, pattern: string): string {
  const last = reply.split('\n').at(-1) ?? '';
  const expression = pattern
    .split('*')
    .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*');
  assert.match(last, new RegExp(`^${expression}$`));
  return reply;
}

function bytesOf(text: string): Buffer {
  const plain: Readonly<Record<string, string>> = { r: '\r', n: '\n', t: '\t', '0': '\0' };
  const unescaped = text.replace(
    /\\(?:x([0-9a-f]{2})|([rnt0]))/gi,
    (_, hex: string | undefined, letter: string) =>
      hex ? String.fromCharCode(Number.parseInt(hex, 16)) : (plain[letter] ?? ''),
  );
  return Buffer.from(unescaped, 'latin1');
}
