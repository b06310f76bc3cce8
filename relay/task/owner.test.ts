import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { takeOwnership } from './owner.ts';

const folder = mkdtempSync(join(tmpdir(), 'mailrelay-owner-'));
after(() => rmSync(folder, { recursive: true, force: true }));

let folders = 0;
function freshFolder(): string {
  const path = join(folder, `${++folders}`, 'x'.repeat(120));
  mkdirSync(path, { recursive: true });
  return path;
}

/** Another process that does `call` on the folder and stays alive. */
async function elsewhere(call: 'takeOwnership' | 'shareOwnership', stateDir: string) {
  const script = `
    import { ${call} } from '${new URL('./owner.ts', import.meta.url).href}';
    globalThis.kept = ${call}(${JSON.stringify(stateDir)});
    console.log('done');
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

test('a folder has one owner, who may give it up, whatever the length of its path', () => {
  const stateDir = freshFolder();
  const owner = takeOwnership(stateDir);
  assert.throws(() => takeOwnership(stateDir), /^Error: Another relay uses the state folder/);
  assert.throws(() => takeOwnership(`${stateDir}/../${'x'.repeat(120)}`), /Another relay/);
  owner.release();
  owner.release();
  takeOwnership(stateDir).release();
});

test('an owner in another process counts, until it is killed', async () => {
  const stateDir = freshFolder();
  const child = await elsewhere('takeOwnership', stateDir);
  assert.throws(() => takeOwnership(stateDir), /Another relay/);
  // The failed attempt must not have released the other lock.
  assert.throws(() => takeOwnership(stateDir), /Another relay/);
  child.kill('SIGKILL');
  await once(child, 'exit');
  takeOwnership(stateDir).release();
});

test('a new owner waits for tasks that outlived the old one', async () => {
  const stateDir = freshFolder();
  const child = await elsewhere('shareOwnership', stateDir);
  const second = await elsewhere('shareOwnership', stateDir);
  second.kill('SIGKILL');
  await once(second, 'exit');
  const owner = elsewhere('takeOwnership', stateDir);
  let taken = false;
  owner.then(() => {
    taken = true;
  });
  const other = await elsewhere('shareOwnership', freshFolder());
  assert.equal(taken, false);
  child.kill('SIGKILL');
  for (const process of [await owner, other]) process.kill('SIGKILL');
});

test('a lock that is there and cannot be opened is a matter of rights: another folder would have another queue', () => {
  const stateDir = freshFolder();
  mkdirSync(join(stateDir, 'owner.lock'));
  assert.throws(
    () => takeOwnership(stateDir),
    /^Error: Cannot lock ".*owner\.lock": the file cannot be opened: let the user of the relay read and write it$/,
  );
});
