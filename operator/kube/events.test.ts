/** The API server takes a note of 1024 bytes, not characters, and would refuse the whole event. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { relayObject } from '#test/fixtures/world.ts';
import type { Request } from './client.ts';
import { writeEvent } from './events.ts';

async function noteOf(note: string): Promise<string> {
  const bodies: unknown[] = [];
  const request = async <T>({ body }: Request) => {
    bodies.push(body);
    return {} as T;
  };
  await writeEvent({ request }, 'one', relayObject(), { type: 'Warning', reason: 'PolicyRefused', note });
  return (bodies[0] as { note: string }).note;
}

for (const [what, note, bytes] of [
  ['a short note', 'Pod relay-0 refused the policy', 30],
  ['plain words', 'a'.repeat(2_000), 1_024],
  ['wide characters', '证'.repeat(500), 1_023],
  ['pairs', `abc${'😀'.repeat(500)}`, 1_023],
] as const)
  test(`the note of an event is cut by bytes and between characters: ${what}`, async () => {
    const written = await noteOf(note);
    assert.equal(Buffer.byteLength(written), bytes);
    assert.ok(written.isWellFormed() && note.startsWith(written));
  });
