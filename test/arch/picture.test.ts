/** The picture of the architecture shows the processes and rooms that there are, and the imports that the law allows. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ROOMS } from './rooms.ts';

const TOP = new URL('../../', import.meta.url).pathname;
const PICTURE = readFileSync(`${TOP}docs/architecture.svg`, 'utf8');
/** Most rooms import them, so the boxes do not name them. */
const EVERYWHERE = ['observe', 'task'];

interface Box {
  readonly title: string | undefined;
  readonly uses: readonly string[];
  readonly top: number;
}

function readBox(content: string): Box {
  const texts = (kind: string) =>
    [...content.matchAll(new RegExp(`<text [^>]*class="${kind}">([^<]*)<`, 'g'))].map(
      ([, text = '']) => text,
    );
  return {
    title: texts('n')[0],
    uses: texts('u').join(' ').match(/\w+/g) ?? [],
    top: Number(/<rect [^>]*\by="(\d+)"/.exec(content)?.[1]),
  };
}

const boxes = new Map(
  [...PICTURE.matchAll(/<g id="room-(\w+)">([\s\S]*?)<\/g>/g)].map(([, name = '', content = '']) => [
    name,
    readBox(content),
  ]),
);
const relayRooms = ROOMS.flatMap(({ name, rooms }) =>
  name.startsWith('relay ')
    ? [{ name: withoutHalf(name), uses: rooms.filter(isInRelay).map(withoutHalf) }]
    : [],
);

function isInRelay(room: string): boolean {
  return room.startsWith('relay ');
}

function withoutHalf(room: string): string {
  return room.replace('relay ', '');
}

test('the picture has each room of the relay once, under its name', () => {
  assert.deepEqual([...boxes.keys()].toSorted(), relayRooms.map(({ name }) => name).toSorted());
  for (const [name, { title }] of boxes) assert.equal(title, name);
});

for (const { name, uses } of relayRooms) {
  test(`the picture says what ${name} may import, and has all of it below`, () => {
    const box = boxes.get(name);
    const shown = uses.filter((other) => !EVERYWHERE.includes(other));
    assert.deepEqual(box?.uses, shown.toSorted());
    for (const other of uses)
      assert.ok((boxes.get(other)?.top ?? 0) > (box?.top ?? 0), `${other} is not below ${name}`);
  });
}

test('the picture has each process of the relay', () => {
  const [processes = ''] = PICTURE.split('Rooms of relay/');
  const titles = [...processes.matchAll(/class="n">([^<]*)</g)].map(([, title]) => title).join(' ');
  const tasks = globSync('relay/*/main.ts', { cwd: TOP }).map((path) => path.split('/')[1] ?? '');
  for (const name of ['supervisor', ...tasks]) assert.match(titles, new RegExp(`\\b${name}\\b`));
});
