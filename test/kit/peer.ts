/**
 * What the mail servers of the interoperability stories have in common: each stores what is for its own domain, and
 * hands everything else to a relay over STARTTLS, whose certificate it verifies. And the message that shows whether
 * somebody changed it.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Pair } from './ca.ts';
import { until } from './wait.ts';

export interface PeerOptions {
  readonly port: number;
  /** Mail for it is stored. */
  readonly domain: string;
  /** For its STARTTLS. */
  readonly pair: Pair;
  readonly relay: {
    readonly port: number;
    /** PEM that the relay's certificate is verified by. */
    readonly ca: string;
  };
}

export interface Peer {
  /** The stored message with this test id, headers included; waits for it. */
  message(id: string): Promise<string>;
  stop(): void | Promise<void>;
}

/** In a maildir. Bytes, as latin1; line breaks as they are on the disk. */
export function storedMessage(maildir: string, id: string, withinMs?: number): Promise<string> {
  return until(
    `message ${id} in ${maildir}`,
    () => messagesIn(maildir).find((text) => text.includes(`X-Test-Id: ${id}\n`)),
    withinMs,
  );
}

export function messagesIn(maildir: string): string[] {
  const dir = join(maildir, 'new');
  return existsSync(dir)
    ? readdirSync(dir).map((name) => readFileSync(join(dir, name), 'latin1').replaceAll('\r\n', '\n'))
    : [];
}

/**
 * A message with what servers like to touch: dots, white space at line ends, empty lines, letters beyond ASCII, a long
 * line. Nothing is missing from its header. Without the last line break.
 */
export function hardMessage(id: string): string {
  const lines = [
    'From: <a@client.example>',
    'To: <b@example.com>',
    'Subject: test',
    `X-Test-Id: ${id}`,
    'Date: Wed, 25 Nov 2026 12:00:00 +0000',
    `Message-ID: <${id}@client.example>`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: 8bit',
    '',
    '.',
    '..',
    '.a line with a dot and white space \t ',
    'From here: Grüße',
    '',
    'x'.repeat(990),
    '',
    'end',
  ];
  return lines.join('\r\n');
}

/** As it looks where bytes are read as latin1. */
export function bytesOf(text: string): string {
  return Buffer.from(text).toString('latin1');
}
