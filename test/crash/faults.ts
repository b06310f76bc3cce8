/** The faults that are tried: each call ends a process or all of the relay, before or after it, or fails. */
import type { Fault, ProcessKind } from '#test/kit/diskshim.ts';
import { randomFrom } from '#test/kit/powercut.ts';
import { seed } from '#test/kit/seed.ts';

export const SOAK = process.env['MAILRELAY_SOAK'] !== undefined;
export const random = randomFrom(seed);

const HARMS: readonly Fault['harm'][] = [
  { kind: 'kill before', whole: false },
  { kind: 'kill after', whole: false },
  { kind: 'kill before', whole: true },
  { kind: 'kill after', whole: true },
  { kind: 'fail', error: 'EIO' },
  { kind: 'fail', error: 'ENOSPC' },
  { kind: 'shorten' },
];

/** Every fault that so many calls can have. */
export function faultsAt(by: ProcessKind, calls: number): Fault[] {
  const at = Array.from({ length: calls }, (_, index) => index + 1);
  return HARMS.flatMap((harm) =>
    at.map((one): Fault => ({ harm, by, at: one, ...(harm.kind === 'shorten' ? { calls: ['write'] } : {}) })),
  );
}

/** All by `make soak`, some by `make test`, as many as MAILRELAY_FAULTS, or the one that a failure prints. */
export function sampled(all: readonly Fault[], count: number): readonly Fault[] {
  const { MAILRELAY_FAULT: one, MAILRELAY_FAULTS: wanted } = process.env;
  if (one !== undefined) return [JSON.parse(one) as Fault];
  if (SOAK) return all;
  const drawn = Array.from({ length: Number(wanted ?? count) }, () => all[Math.floor(random() * all.length)]);
  return drawn.filter((fault) => fault !== undefined);
}

/** Of these kinds of processes: all by `make soak`, one by `make test`. */
export function someOf(kinds: readonly ProcessKind[]): readonly ProcessKind[] {
  if (SOAK || process.env['MAILRELAY_FAULTS'] !== undefined) return kinds;
  const at = Math.floor(random() * kinds.length);
  return kinds.slice(at, at + 1);
}

/** A fault that comes for sure: the first call always exists. */
export function sureFault(by: ProcessKind): Fault {
  return { harm: { kind: 'fail', error: 'EIO' }, by, at: 1 };
}
