/**
 * Programs for arm64 on another processor, run by QEMU (qemu-user-static of Debian). The kernel is told of it in a user
 * namespace alone, whose processes have all rights of root there: the machine around it is not changed, and all ends
 * with the test. A kernel before 6.7 has one table for all namespaces and refuses this.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { endWithFile, waitForEnd } from './child.ts';
import { unpacked } from './debian.ts';

/** The first bytes of a program for arm64, and which of their bits count. */
const MAGIC = String.raw`\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00`;
const MASK = String.raw`\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff`;
const RULE = `:mailrelay-arm64:M::${MAGIC}:${MASK}`;
/** P: a program is told the name that it was called by. F: the emulator is opened now, so that no other root folder needs it. */
const FLAGS = 'PF';
const TABLE = '/proc/sys/fs/binfmt_misc';
/** Its users come from outside. After that it tells the kernel, and holds the namespaces. */
const HOLD = `echo made
read -r users
mount -t binfmt_misc none ${TABLE}
printf %s "$1" > ${TABLE}/register
echo ready
exec sleep infinity`;
const SAME_USERS = '0 0 4294967295';

type Holder = ChildProcessByStdio<Writable, Readable, Readable>;

export class Emulation {
  readonly #holder: Holder;

  private constructor(holder: Holder) {
    this.#holder = holder;
  }

  /** Rejects with the words of the program that failed. */
  static async start(): Promise<Emulation> {
    const qemu = join(unpacked('qemu-user-static', []), 'usr/bin/qemu-aarch64-static');
    const args = ['--user', '--mount', 'sh', '-ec', HOLD, 'sh', `${RULE}:${qemu}:${FLAGS}`];
    const holder = endWithFile(spawn('unshare', args, { stdio: ['pipe', 'pipe', 'pipe'] }));
    let words = '';
    holder.stderr.on('data', (chunk) => {
      words += chunk;
    });
    const lines = createInterface(holder.stdout)[Symbol.asyncIterator]();
    const told = async (line: string) => {
      if ((await lines.next()).value !== line) throw new Error(`No emulation of arm64: ${words}`);
    };
    try {
      await told('made');
      for (const map of ['uid_map', 'gid_map']) writeFileSync(`/proc/${holder.pid}/${map}`, SAME_USERS);
      holder.stdin.write('users\n');
      await told('ready');
    } catch (error) {
      holder.kill();
      throw error;
    }
    return new Emulation(holder);
  }

  /** The command that runs the command after it there, in the same process. */
  get enter(): string[] {
    return ['nsenter', `--target=${this.#holder.pid}`, '--user', '--mount'];
  }

  async stop(): Promise<void> {
    this.#holder.kill();
    await waitForEnd(this.#holder, 'the emulation');
  }
}
