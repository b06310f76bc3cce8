/** What bounds any relay on this machine: the load generator straight into the sink, and what a sync costs when more share it. */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writevSync } from 'node:fs';
import { join } from 'node:path';
import { makeAuthority } from '#test/kit/ca.ts';
import { freePort } from '#test/kit/ports.ts';
import { Sink, send } from './load.ts';
import type { Scenario } from './scenarios.ts';

export async function straightIntoSink({ load }: Scenario, seconds: number): Promise<string> {
  const dir = mkdtempSync('/var/tmp/mailrelay-bench-sink-');
  const pair = await (await makeAuthority()).issue(['localhost']);
  const port = await freePort();
  const sink = await Sink.start(dir, port, 'run-', { pair, starttls: load.starttls });
  try {
    const { accepted, seconds: took, cpuMs } = await send(port, 'run-', load, { seconds });
    await new Promise((tick) => setTimeout(tick, 500));
    const cpu = (cpuMs + sink.taken().cpuMs) / accepted;
    return `${(accepted / took).toFixed(0)} messages/s, ${cpu.toFixed(2)} CPU ms a message`;
  } finally {
    await sink.stop();
    rmSync(dir, { recursive: true });
  }
}

/** Appends of 10 KB to one file, so many to a sync. */
export function groupCommitCurve(groups: readonly number[], messages = 400): string {
  const dir = mkdtempSync('/var/tmp/mailrelay-bench-disk-');
  const body = Buffer.alloc(10_240, 'x');
  const lines = groups.map((group) => {
    const file = openSync(join(dir, String(group)), 'w');
    const begun = performance.now();
    for (let done = 0; done < messages; done += group) {
      writevSync(
        file,
        Array.from({ length: group }, () => body),
      );
      fdatasyncSync(file);
    }
    const us = ((performance.now() - begun) * 1000) / messages;
    closeSync(file);
    return `${group}: ${us.toFixed(0)} us a message`;
  });
  rmSync(dir, { recursive: true });
  return lines.join(', ');
}
