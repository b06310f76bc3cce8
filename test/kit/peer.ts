/**
 * The common part of the mail servers in the interoperability stories: each stores the mail for its own domain, and
 * sends all other mail to a relay over STARTTLS, whose certificate it verifies. Also the message that shows whether a
 * server has changed it.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Pair } from './ca.ts';
import { until } from './wait.ts';

export interface PeerOptions {
  readonly port: number;
  /** The server stores mail for this domain. */
  readonly domain: string;
  /** The key pair for STARTTLS of the server. */
  readonly pair: Pair;
  readonly relay: {
    readonly port: number;
    /** The authority (PEM) that verifies the certificate of the relay. */
    readonly ca: string;
  };
}

export interface Peer {
  /** Waits for the stored message with this test id; its text with the header. */
  message(id: string): Promise<string>;
  stop(): void | Promise<void>;
}

/** Waits for a message in a maildir; its bytes as latin1, with the line breaks of the file. */
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
 * A message with content that servers often change: dots, white space at line ends, empty lines, letters beyond ASCII,
 * a long line. Its header is complete. The last line break is missing.
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

/** The bytes of a text, read as latin1. */
export function bytesOf(text: string): string {
  return Buffer.from(text).toString('latin1');
}
