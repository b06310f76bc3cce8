import assert from 'node:assert/strict';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { POLICY_FILE_NAME, type Policy, printPolicy } from '#crds/policyfile.ts';
import { beforeStats } from '#test/kit/beforereads.ts';
import { addressesOf, mount, type PodDirs, podDirs, policyOf } from '#test/kit/relayrig.ts';
import { Key } from '../addresses/addressmap.ts';
import { openTable } from '../addresses/tablefile.ts';
import type { Log } from '../observe/log.ts';
import { BuiltTables } from './builttables.ts';
import { readInputs } from './inputs.ts';
import { listMissing } from './missing.ts';
import { Retry } from './retry.ts';

const NAME = 'ConfigMap/aliases/virtual';
const policy: Policy = policyOf(
  {},
  {},
  {
    addresses: addressesOf({
      recipient: {
        map: { entries: [], tables: [{ kind: 'ConfigMap', name: 'aliases', key: 'virtual' }] },
        parts: ['Envelope'],
        headersOf: 'Submitted',
      },
    }),
  },
);

const all: PodDirs[] = [];
let dirs: PodDirs;
let tables: BuiltTables;
let clock = 0;
const told: string[] = [];
const log = Object.assign((event: string) => void told.push(event), {
  obey: () => undefined,
}) as unknown as Log;

const makeTables = () => new BuiltTables(dirs.stateDir, log, new Retry(() => clock));

beforeEach(() => {
  dirs = podDirs();
  all.push(dirs);
  mount(dirs.policyDir, { [POLICY_FILE_NAME]: printPolicy(policy) });
  mkdirSync(join(dirs.configMapsDir, 'aliases'));
  clock = 0;
  tables = makeTables();
  told.length = 0;
});
after(() => {
  for (const one of all) one.remove();
});

const put = (text: string) => mount(join(dirs.configMapsDir, 'aliases'), { virtual: text });

/** The state of the table, the target of one address in it, and the sentences of the status. */
async function look() {
  const { materials } = await tables.addTo(readInputs(dirs));
  const state = materials.tables?.[NAME];
  const entry = state?.path ? openTable(readFileSync(state.path))?.find(new Key('a@b.example')) : undefined;
  const to = entry?.kind === 'addresses' ? entry.to[0] : undefined;
  return { to, fault: state?.fault, missing: listMissing(policy, materials) };
}

test('a table is built once, and again when it has changed', async () => {
  put('a@b.example one@c.example\n');
  assert.deepEqual(await look(), { to: 'one@c.example', fault: null, missing: [] });
  await look();
  assert.deepEqual(told, ['table_loaded']);
  put('a@b.example two@c.example\n');
  assert.equal((await look()).to, 'two@c.example');
});

test('a table whose link is swapped while it is looked for is the new one, and counts as missing at no moment', async (t) => {
  put('a@b.example one@c.example\n');
  const aliases = join(dirs.configMapsDir, 'aliases');
  let isSwapped = false;
  beforeStats(t, (path) => {
    if (isSwapped || !path.endsWith('/virtual')) return;
    isSwapped = true;
    const old = join(aliases, readlinkSync(join(aliases, '..data')));
    put('a@b.example two@c.example\n');
    rmSync(old, { recursive: true });
  });
  assert.deepEqual(await look(), { to: 'two@c.example', fault: null, missing: [] });
});

test('where the system has no means to look for a table, it does not count as missing', (t) => {
  put('a@b.example one@c.example\n');
  beforeStats(t, (path) => {
    if (path.endsWith('/virtual')) throw Object.assign(new Error('ENOMEM'), { code: 'ENOMEM' });
  });
  assert.throws(() => readInputs(dirs), /^Error: Cannot read ".*virtual": the memory is full$/);
});

test('its text is no part of what the tasks get', async () => {
  put('a@b.example one@c.example\n');
  assert.deepEqual(readInputs(dirs).materials.configMaps, { aliases: {} });
});

test('a table with a wrong line never replaces a good one, and the status names the line', async () => {
  put('a@b.example one@c.example\n');
  await look();
  put('x@b.example x@c.example\na@b.example\n');
  const { to, missing } = await look();
  assert.equal(to, 'one@c.example');
  assert.deepEqual(missing, [
    'addresses.recipient.tables[0]: key virtual of ConfigMap "aliases" has a wrong line 2 (there is no address after the first word): the last good table stays in use',
  ]);
});

test('without a good one there is none', async () => {
  const { to, missing } = await look();
  assert.equal(to, undefined);
  assert.match(missing.join(), /"aliases" does not exist: mail that needs the table waits/);
  put('<html>\nnot found\n');
  assert.match(String((await look()).fault), /^has no entry with an @/);
});

test('gzip is unpacked, and what is cut short or grows without end is refused', async () => {
  const file = join(dirs.configMapsDir, 'aliases', 'virtual');
  const packed = gzipSync('a@b.example packed@c.example\n');
  writeFileSync(file, packed);
  assert.equal((await look()).to, 'packed@c.example');
  for (const [bytes, told] of [
    [packed.subarray(0, -9), /^is packed by gzip and damaged/],
    [gzipSync(Buffer.alloc(40 * 1024 * 1024, 0x0a)), /^is larger than 32 MiB/],
  ] as const) {
    writeFileSync(file, bytes);
    const { to, fault } = await look();
    assert.match(String(fault), told);
    assert.equal(to, 'packed@c.example');
  }
});

test('files that no process opens any more go, and those of an earlier life too', async () => {
  for (const n of [1, 2, 3, 4, 5]) {
    put(`a@b.example ${n}@c.example\n`);
    await look();
  }
  const files = () => readdirSync(join(dirs.stateDir, 'tables')).length;
  assert.equal(files(), 2);
  tables = makeTables();
  assert.equal((await look()).to, '5@c.example');
  assert.equal(files(), 1);
});

test('a file that the disk does not let go ends nothing, as on a volume that became read-only', async () => {
  put('a@b.example one@c.example\n');
  await look();
  const stays = join(dirs.stateDir, 'tables', 'stays');
  mkdirSync(stays);
  put('a@b.example two@c.example\n');
  assert.equal((await look()).to, 'two@c.example');
  rmdirSync(stays);
});

test('what the system refuses is tried again, though no file changes', async () => {
  put('a@b.example one@c.example\n');
  const folder = join(dirs.stateDir, 'tables');
  writeFileSync(folder, 'in the way');
  assert.match(String((await look()).fault), /^cannot be written \(E/);
  assert.equal(tables.isDue(), false);
  clock = 60_000;
  assert.equal(tables.isDue(), true);
  rmSync(folder);
  assert.deepEqual(await look(), { to: 'one@c.example', fault: null, missing: [] });
  clock = 120_000;
  assert.equal(tables.isDue(), false);
  put('a@b.example\n');
  await look();
  clock = 240_000;
  assert.equal(tables.isDue(), false, 'a wrong line stays wrong');
});
