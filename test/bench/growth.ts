/**
 * What a relay takes with more of a core, and with more pods (L): the same load on relays that the kernel holds to so much
 * CPU, as a limit of their pods does. Needs root, for a control group of its own for each relay.
 */
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Pair } from '#test/kit/ca.ts';
import { send } from './load.ts';
import { delivered, withPeer } from './measure.ts';
import { relay } from './peers/relay.ts';
import type { Scenario } from './scenarios.ts';
import { treeOf } from './tree.ts';

const GROUPS = '/sys/fs/cgroup';
const PERIOD_US = 20_000;
const WARM_SECONDS = 4;

interface Pods {
  readonly pods: number;
  /** Each. */
  readonly cores: number;
}

const STEPS: readonly Pods[] = [
  { pods: 1, cores: 0.4 },
  { pods: 1, cores: 0.8 },
  { pods: 2, cores: 0.4 },
  { pods: 1, cores: 1 },
  { pods: 1, cores: 2 },
];

/** Delivered messages a second, for each step. */
export async function growth(
  scenario: Scenario,
  pair: Pair,
  seconds: number,
): Promise<Record<string, number>> {
  const figures: Record<string, number> = {};
  for (const { pods, cores } of STEPS) {
    const runs = Array.from({ length: pods }, (_, pod) => limited(scenario, pair, { cores, seconds, pod }));
    const perS = (await Promise.all(runs)).reduce((sum, one) => sum + one, 0);
    figures[`${pods} with ${cores} of a core${pods > 1 ? ' each' : ''}: delivered/s`] = Math.round(perS);
  }
  return figures;
}

async function limited(
  scenario: Scenario,
  pair: Pair,
  { cores, seconds, pod }: { cores: number; seconds: number; pod: number },
): Promise<number> {
  const group = new CpuLimit(`mailrelay-bench-${process.pid}-${pod}`, cores);
  try {
    return await withPeer(relay, scenario, pair, async ({ sink, setting: { port }, running }) => {
      group.hold(treeOf(running.pid));
      const warm = await send(port, 'warm-', scenario.load, { seconds: WARM_SECONDS });
      await delivered(sink, ({ other }) => other, warm.accepted);
      const begun = Date.now();
      const sent = await send(port, 'run-', scenario.load, { seconds });
      await delivered(sink, ({ distinct }) => distinct, sent.accepted);
      return (sent.accepted * 1000) / (sink.taken().lastMs - begun);
    });
  } finally {
    group.remove();
  }
}

/** A control group of version 1 or 2. */
class CpuLimit {
  readonly #folder: string;

  constructor(name: string, cores: number) {
    const isV1 = existsSync(join(GROUPS, 'cpu', 'cpu.cfs_quota_us'));
    this.#folder = join(GROUPS, ...(isV1 ? ['cpu'] : []), name);
    mkdirSync(this.#folder);
    const quota = Math.round(cores * PERIOD_US);
    if (isV1) {
      writeFileSync(join(this.#folder, 'cpu.cfs_period_us'), String(PERIOD_US));
      writeFileSync(join(this.#folder, 'cpu.cfs_quota_us'), String(quota));
    } else writeFileSync(join(this.#folder, 'cpu.max'), `${quota} ${PERIOD_US}`);
  }

  hold(pids: readonly number[]): void {
    for (const pid of pids) writeFileSync(join(this.#folder, 'cgroup.procs'), String(pid));
  }

  /** Its processes must have ended. */
  remove(): void {
    rmdirSync(this.#folder);
  }
}
