/**
 * The proof of the library that stands between a relay and its disk: by the kernel's own record of a whole story, from
 * the start of a relay over a change of its policy to its end, no call that changes the state folder goes past it. And a
 * failed sync is told as Linux tells it.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { endWithFile, waitForEnd } from '#test/kit/child.ts';
import { type DiskCall, readCalls } from '#test/kit/diskrecord.ts';
import { type Call, DiskShim, isMeant, type ProcessKind, shimProblem } from '#test/kit/diskshim.ts';
import { Hop } from '#test/kit/hop.ts';
import { storyManifest } from '#test/kit/manifest.ts';
import { freePort } from '#test/kit/ports.ts';
import { TestRelay } from '#test/kit/relay.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { straceProblem } from '#test/kit/strace.ts';
import { until } from '#test/kit/wait.ts';

/** Every system call of Linux by which a file or a folder is changed, as the library names it. */
const BY_SYSTEM_CALL: Readonly<Record<string, Call>> = {
  open: 'open',
  openat: 'open',
  openat2: 'open',
  creat: 'open',
  write: 'write',
  pwrite64: 'write',
  writev: 'write',
  pwritev: 'write',
  pwritev2: 'write',
  sendfile: 'write',
  splice: 'write',
  copy_file_range: 'write',
  fallocate: 'write',
  truncate: 'truncate',
  ftruncate: 'truncate',
  fsync: 'sync',
  fdatasync: 'sync',
  sync_file_range: 'sync',
  syncfs: 'sync',
  msync: 'sync',
  rename: 'rename',
  renameat: 'rename',
  renameat2: 'rename',
  unlink: 'unlink',
  unlinkat: 'unlink',
  rmdir: 'unlink',
  mkdir: 'mkdir',
  mkdirat: 'mkdir',
  link: 'link',
  linkat: 'link',
};
const TRACED = [...Object.keys(BY_SYSTEM_CALL), 'mmap', 'io_uring_setup'];

/** The calls of a record of strace that change this folder, each as `call name`. */
function changesIn(record: string, stateDir: string): string[] {
  return record.split('\n').flatMap((line) => {
    const [, system = '', rest = ''] = /^\d+\s+(\w+)\((.*)$/.exec(line) ?? [];
    const path = pathIn(rest, stateDir);
    if (path === undefined || !isMeant(path)) return [];
    if (system === 'mmap') return /PROT_WRITE/.test(rest) && /MAP_SHARED/.test(rest) ? [`mmap ${path}`] : [];
    const call = BY_SYSTEM_CALL[system] ?? system;
    return call === 'open' && !/O_CREAT|O_TRUNC/.test(rest) ? [] : [`${call} ${path}`];
  });
}

/** The first path in the folder, of a descriptor or in quotes. */
function pathIn(rest: string, stateDir: string): string | undefined {
  for (const [, path = ''] of rest.matchAll(/[<"]([^<>"]*)[>"]/g)) {
    if (path === stateDir) return '.';
    if (path.startsWith(`${stateDir}/`)) return path.slice(stateDir.length + 1);
  }
  return undefined;
}

function told(calls: readonly DiskCall[]): string[] {
  return calls.filter(({ call }) => call !== 'synced').map(({ call, name }) => `${call} ${name}`);
}

async function story(relay: TestRelay, hop: Hop, nextHop: number): Promise<void> {
  const port = relay.ports[0] ?? 0;
  const send = async (id: string, to: string, bytes = 200) => {
    const client = await SmtpClient.connect(port);
    await client.hello();
    assert.match(await client.send('me@client.example', [to], messageText(id, bytes)), /^250/);
    await client.quit();
  };
  await send('small', 'yes@example.com');
  await send('large', 'yes@example.com', 300_000);
  await send('returned', 'no@example.com');
  const { policy } = await relay.status();
  relay.edit(storyManifest({ port, nextHop, starttls: 'Disabled', level: 'None' }));
  await until('the policy', async () => (await relay.status()).policy.hash !== policy.hash, 60_000);
  await send('after', 'yes@example.com');
  await until('delivery', () => hop.taken.length === 4, 60_000);
}

test('no call that changes the state folder goes past the library', {
  skip: shimProblem() ?? straceProblem(),
}, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mailrelay-traced-'));
  const shim = new DiskShim(dir);
  const record = join(dir, 'strace');
  const nextHop = await freePort();
  const hop = await Hop.start({
    port: nextHop,
    answer: ({ step, line }) => (step === 'RCPT' && line.includes('<no') ? '550 5.1.1 nobody' : undefined),
  });
  try {
    // The traced process stays our own child.
    const through = ['strace', '-D', '-f', '--seccomp-bpf', '-q', '-y', '-s', '0', '-o', record];
    const relay = await TestRelay.start({
      dir,
      env: shim.env(),
      through: [...through, '-e', `trace=${TRACED.join()}`],
      manifest: ([port]) => storyManifest({ port, nextHop }),
    });
    await story(relay, hop, nextHop);
    assert.equal(await relay.stop(), 0);
    const seen = await until('the end of the record', () => wholeRecord(record));
    const [kernel, library] = [changesIn(seen, shim.stateDir), told(readCalls(shim.recorded()))];
    assert.ok(kernel.length > 100, `only ${kernel.length} calls`);
    assert.deepEqual(kernel.toSorted(), library.toSorted());
    // The check can fail: one call less is seen.
    assert.notDeepEqual(kernel.toSorted(), library.slice(1).toSorted());
    // libuv writes files through a ring only where it may poll; the other one is for epoll.
    assert.deepEqual(seen.match(/^.*io_uring_setup.*IORING_SETUP_SQPOLL.*$/gm), null);
  } finally {
    await hop.down();
    shim.remove();
    rmSync(dir, { recursive: true, force: true });
  }
});

/** It is whole when strace, whose command line names it, has gone: after the last process that it follows. */
function wholeRecord(path: string): string | undefined {
  const lines = readdirSync('/proc').map((pid) => {
    try {
      return /^\d+$/.test(pid) ? readFileSync(`/proc/${pid}/cmdline`, 'utf8') : '';
    } catch {
      // It ended in the meantime.
      return '';
    }
  });
  return lines.some((line) => line.includes(path)) ? undefined : readFileSync(path, 'utf8');
}

/** Opens files and syncs the descriptors that it got, as its input says. The library knows it by its arguments. */
const SYNCER = `
  const fs = require('node:fs');
  require('node:readline').createInterface(process.stdin).on('line', (line) => {
    const [what, which] = line.split(' ');
    try {
      console.log(what === 'open' ? fs.openSync(which, 'r') : (fs.fdatasyncSync(Number(which)), 'synced'));
    } catch (error) {
      console.log(error.code);
    }
  });`;

function syncer(shim: DiskShim, kind: ProcessKind) {
  const child = endWithFile(
    spawn(process.execPath, ['-e', SYNCER, `${kind}/main.ts`], {
      env: { ...process.env, ...shim.env() },
      stdio: ['pipe', 'pipe', 'inherit'],
    }),
  );
  const lines = createInterface(child.stdout);
  const ask = async (line: string): Promise<string> => {
    const answer = once(lines, 'line');
    child.stdin.write(`${line}\n`);
    const [said] = await answer;
    return said;
  };
  return {
    open: (path: string) => ask(`open ${path}`),
    sync: (file: string) => ask(`sync ${file}`),
    end: () => {
      child.stdin.end();
      return waitForEnd(child, 'a process that syncs');
    },
  };
}

test('a failed sync is told once to each older open description of the file, in every process, and to no newer one', {
  skip: shimProblem() ?? false,
}, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mailrelay-told-'));
  const shim = new DiskShim(dir);
  mkdirSync(shim.stateDir);
  const [path, other] = [join(shim.stateDir, 'log'), join(shim.stateDir, 'other')];
  for (const file of [path, other]) writeFileSync(file, 'x');
  const [router, listener] = [syncer(shim, 'router'), syncer(shim, 'listener')];
  try {
    const [failing, sibling] = [await router.open(path), await router.open(path)];
    const [elsewhere, otherFile] = [await listener.open(path), await listener.open(other)];
    shim.arm({ harm: { kind: 'fail', error: 'EIO' }, by: 'router', at: 1, calls: ['sync'], name: 'log' });
    assert.equal(await router.sync(failing), 'EIO');
    const newer = await listener.open(path);
    for (const told of ['EIO', 'synced']) {
      assert.equal(await router.sync(sibling), told);
      assert.equal(await listener.sync(elsewhere), told);
    }
    assert.equal(await router.sync(failing), 'synced');
    assert.equal(await listener.sync(newer), 'synced');
    assert.equal(await listener.sync(otherFile), 'synced');
    const ends = readCalls(shim.recorded()).filter(({ call }) => call === 'synced');
    assert.deepEqual(
      ends.map(({ by, error }) => `${by} ${error}`),
      [
        'router 5',
        'router 5',
        'listener 5',
        'router 0',
        'listener 0',
        'router 0',
        'listener 0',
        'listener 0',
      ],
    );
  } finally {
    await router.end();
    await listener.end();
    shim.remove();
    rmSync(dir, { recursive: true, force: true });
  }
});
