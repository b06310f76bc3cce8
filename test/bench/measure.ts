/**
 * One run: a peer alone on a fresh folder, warmed up with the same load, then measured until everything that was accepted
 * has been delivered. CPU is that of the peer's whole process tree, the figure to trust on a machine that others use too.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import type { Pair } from '#test/kit/ca.ts';
import { freePort } from '#test/kit/ports.ts';
import { type Sent, Sink, send, type Taken } from './load.ts';
import type { Peer, Running, Setting } from './peer.ts';
import type { Scenario } from './scenarios.ts';
import { busyMs, cpuMsOf, type Memory, memoryOf } from './tree.ts';

const MOST_SECONDS = 120;
const MEMORY_EVERY_MS = 500;
/** Nothing more came for this long: what is missing is lost. */
const PATIENCE_MS = 20_000;

export interface Result {
  readonly peer: string;
  readonly scenario: string;
  readonly accepted: number;
  readonly acceptedPerS: number;
  readonly deliveredPerS: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMsPerMessage: number;
  readonly loadCpuMsPerMessage: number;
  readonly peakPssMb: number;
  readonly peakAnonMb: number;
  /** By the peer's own count, under this load. */
  readonly syncsPerMessage: number | null;
  readonly lost: number;
  readonly duplicated: number;
  readonly failedSessions: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly tlsIn: string;
  readonly tlsOut: string;
  readonly connectionsOut: number;
  /** Cores that neither the peer nor the load used. */
  readonly foreignCores: number;
}

export interface Bench<R extends Running> {
  readonly setting: Setting;
  readonly sink: Sink;
  readonly running: R;
}

/** Brings a peer and its sink up in a folder of their own, on disk, and down again whatever happens. */
export async function withPeer<T, R extends Running>(
  peer: Peer<R>,
  scenario: Scenario,
  pair: Pair,
  work: (bench: Bench<R>) => Promise<T>,
): Promise<T> {
  const dir = mkdtempSync(`/var/tmp/mailrelay-bench-${peer.name}-`);
  const [port, sinkPort] = [await freePort(), await freePort()];
  const tls = scenario.load.starttls;
  const sink = await Sink.start(dir, sinkPort, 'run-', { pair, starttls: tls });
  try {
    const setting = { dir, port, sinkPort, pair, tls, cutThrough: scenario.cutThrough };
    const running = await peer.start(setting);
    try {
      return await work({ setting, sink, running });
    } finally {
      await running.stop();
    }
  } finally {
    await sink.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** `length` 1 is that of scenarios.ts. Counts messages and not seconds, so that all are equally warm. */
export function measure(peer: Peer, scenario: Scenario, pair: Pair, length: number): Promise<Result> {
  const messages = Math.ceil(scenario.messages * length);
  return withPeer(peer, scenario, pair, async ({ sink, setting: { port }, running }) => {
    const warm = await send(port, 'warm-', scenario.load, {
      seconds: MOST_SECONDS,
      messages: Math.ceil(messages / 2),
    });
    await delivered(sink, ({ other }) => other, warm.accepted);
    const watch = watchMemory(running.pid);
    const before = await readings(running, sink);
    const sent = await send(port, 'run-', scenario.load, { seconds: MOST_SECONDS, messages });
    await delivered(sink, ({ distinct }) => distinct, sent.accepted);
    const after = await readings(running, sink);
    return resultOf(peer.name, scenario.letter, { sent, taken: sink.taken(), before, after, peak: watch() });
  });
}

/** Resolves when so many have come, or nothing comes any more. */
export async function delivered(
  sink: Sink,
  count: (taken: Taken) => number,
  wanted: number,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  let [last, since] = [-1, Date.now()];
  for (;;) {
    const now = count(sink.taken());
    if (now >= wanted) return;
    if (now !== last) [last, since] = [now, Date.now()];
    else if (Date.now() - since > patienceMs) return;
    await new Promise((tick) => setTimeout(tick, 100));
  }
}

interface Readings {
  readonly atMs: number;
  readonly cpuMs: number;
  readonly busyMs: number;
  readonly sinkMs: number;
  readonly syncs: number | null;
}

async function readings(running: Running, sink: Sink): Promise<Readings> {
  const syncs = (await running.syncs?.()) ?? null;
  return {
    atMs: Date.now(),
    cpuMs: cpuMsOf(running.pid),
    busyMs: busyMs(),
    sinkMs: sink.taken().cpuMs,
    syncs,
  };
}

/** Call what it returns to end it and hear the peak. */
export function watchMemory(pid: number): () => Memory {
  let peak: Memory = { pssMb: 0, anonMb: 0 };
  const look = () => {
    const now = memoryOf(pid);
    peak = { pssMb: Math.max(peak.pssMb, now.pssMb), anonMb: Math.max(peak.anonMb, now.anonMb) };
  };
  const timer = setInterval(look, MEMORY_EVERY_MS);
  return () => {
    clearInterval(timer);
    look();
    return peak;
  };
}

function resultOf(
  peer: string,
  scenario: string,
  seen: { sent: Sent; taken: Taken; before: Readings; after: Readings; peak: Memory },
): Result {
  const { sent, taken, before, after, peak } = seen;
  const { accepted } = sent;
  const cpuMs = after.cpuMs - before.cpuMs;
  const loadMs = sent.cpuMs + after.sinkMs - before.sinkMs;
  const syncs = after.syncs === null || before.syncs === null ? null : after.syncs - before.syncs;
  return {
    peer,
    scenario,
    accepted,
    acceptedPerS: accepted / sent.seconds,
    deliveredPerS: taken.distinct / ((taken.lastMs - sent.startMs) / 1000),
    p50Ms: sent.p50Ms,
    p99Ms: sent.p99Ms,
    cpuMsPerMessage: cpuMs / accepted,
    loadCpuMsPerMessage: loadMs / accepted,
    peakPssMb: peak.pssMb,
    peakAnonMb: peak.anonMb,
    syncsPerMessage: syncs === null ? null : syncs / accepted,
    lost: accepted - taken.distinct,
    duplicated: taken.duplicates,
    failedSessions: sent.failed,
    errors: sent.errors,
    tlsIn: sent.tls,
    tlsOut: taken.tls,
    connectionsOut: taken.connections,
    foreignCores: (after.busyMs - before.busyMs - cpuMs - loadMs) / (after.atMs - before.atMs),
  };
}
