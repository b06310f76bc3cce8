/** Spools in folders that go with the test file, and messages that are entered and read as the relay does it. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after } from 'node:test';
import { type Envelope, newQueueId } from '#relay/spool/record.ts';
import type { Loaded, Spool } from '#relay/spool/spool.ts';

const folders: string[] = [];
export const folder = () => {
  const path = mkdtempSync(join(tmpdir(), 'mailrelay-spool-'));
  folders.push(path);
  return path;
};
after(() => {
  for (const path of folders) rmSync(path, { recursive: true, force: true });
});

export const LARGE = 700 * 1024;
export const envelope: Envelope = {
  from: 'me@example.com',
  recipients: [
    { address: 'a@example.net', state: 'queued' },
    { address: 'b@example.net', state: 'queued' },
  ],
  receivedAt: 1,
  smtpUtf8: false,
  eightBit: false,
};

export async function enter(spool: Spool, body: Buffer): Promise<string> {
  const id = newQueueId(Date.now());
  const writer = spool.bodyWriter(id);
  for (let at = 0; at < body.length; at += 64 * 1024) await writer.write(body.subarray(at, at + 64 * 1024));
  await spool.enter(id, envelope, await writer.seal());
  return id;
}

export function load(spool: Spool, id: string): Loaded & { kind: 'message' } {
  const loaded = spool.load(id);
  assert.ok(loaded.kind === 'message', JSON.stringify(loaded));
  return loaded;
}

export function readBody(spool: Spool, id: string): Promise<Buffer> {
  return buffer(load(spool, id).open());
}

/** Reads the body as the router does: each piece is used before the next is requested. */
export async function readPieces(spool: Spool, id: string): Promise<Buffer> {
  const body = load(spool, id).pieces();
  if (Buffer.isBuffer(body)) return body;
  const copies: Buffer[] = [];
  for await (const piece of body) copies.push(Buffer.from(piece));
  return Buffer.concat(copies);
}
