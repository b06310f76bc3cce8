import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { BodyWriter } from './body.ts';
import { BodyFolder } from './bodyfolder.ts';

const CHUNK_BYTES = 30_000;

for (const bytes of [0, 10, 60_000, 200_000, 1_000_000, 5_000_000]) {
  test(`a body of ${bytes} bytes is read as often as wanted, also after a reader that stops`, async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'mailrelay-body-'));
    const written = randomBytes(bytes);
    const body = new BodyWriter(new BodyFolder(dir.path), 'draft');
    for (let at = 0; at < bytes; at += CHUNK_BYTES) await body.write(written.subarray(at, at + CHUNK_BYTES));
    for await (const _ of body.read()) break;
    for (let times = 0; times < 2; times++) assert.ok((await buffer(body.read())).equals(written));
    await body.discard();
    assert.deepEqual(readdirSync(dir.path), []);
  });
}

test('a body that is discarded during a write leaves no file, and no piece that two bodies share', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mailrelay-body-'));
  const folder = new BodyFolder(dir.path);
  const given = new BodyWriter(folder, 'given');
  const write = given.write(randomBytes(400_000));
  await given.discard();
  await write;
  assert.deepEqual(readdirSync(dir.path), []);
  const bodies = ['one', 'two', 'three'].map((id) => ({
    body: new BodyWriter(folder, id),
    written: randomBytes(200_000),
  }));
  for (const { body, written } of bodies) await body.write(written);
  for (const { body, written } of bodies) assert.ok((await buffer(body.read())).equals(written));
  for (const { body } of bodies) await body.discard();
});
