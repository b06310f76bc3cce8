/** The API server takes a note of 1024 bytes, not characters, and would refuse the whole event. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { relayObject } from '#test/fixtures/world.ts';
import type { Request } from './client.ts';
import { writeEvent } from './events.ts';

async function written(note: string) {
  const bodies: unknown[] = [];
  const request = async <T>({ body }: Request) => {
    bodies.push(body);
    return {} as T;
  };
  const by = { identity: 'one', now: Date.parse('2030-01-01T00:00:00Z') };
  await writeEvent({ request }, by, relayObject(), { type: 'Warning', reason: 'PolicyRefused', note });
  return bodies[0] as { note: string; eventTime: string };
}

for (const [what, note, bytes] of [
  ['a short note', 'Pod relay-0 refused the policy', 30],
  ['plain words', 'a'.repeat(2_000), 1_024],
  ['wide characters', '证'.repeat(500), 1_023],
  ['pairs', `abc${'😀'.repeat(500)}`, 1_023],
] as const)
  test(`the note of an event is cut by bytes and between characters: ${what}`, async () => {
    const { note: cut } = await written(note);
    assert.equal(Buffer.byteLength(cut), bytes);
    assert.ok(cut.isWellFormed() && note.startsWith(cut));
  });

test('the time of an event is that of the status', async () => {
  assert.equal((await written('short')).eventTime, '2030-01-01T00:00:00.000000Z');
});
