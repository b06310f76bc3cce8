/**
 * `make bench-operator`: what the operator costs with many MailRelays, on a real API server with bare pods that answer
 * as relays do. Prints a table of figures and one of the bars that they meet or miss, or with --json one line for each
 * number of MailRelays.
 *
 *   run.ts bench [--relays 100,200,1000] [--edits 100] [--idle-seconds 60] [--json]
 *
 * The controller's own share of an edit begins when the news is queued and ends with the last answer, less the time
 * spent waiting for answers; wall begins before the edit is sent. CPU of an edit is all that the process used for it:
 * the objects, what the pods and the watches then tell, and the status.
 */
import { parseArgs } from 'node:util';
import { until } from '#test/kit/wait.ts';
import { type Plane, plane } from '#test/operator/plane.ts';
import { Pods } from '#test/operator/pods.ts';
import { Operator } from '#test/operator/process.ts';
import {
  isRest,
  makeRelays,
  nameOf,
  putRelay,
  relayNamed,
  settled,
  whenSettled,
} from '#test/operator/relays.ts';
import { barsOf, type Measured } from './bars.ts';
import { cpuMsOf, memoryOf } from './tree.ts';

const NAMESPACE = 'bench';
const STEADY_MS = 600_000;
const LISTENERS = [
  { name: 'smtp', port: 25 },
  { name: 'submission', port: 587 },
];

interface Result extends Measured {
  readonly readsAtStart: number;
  /** Percent of one core, with everything settled. */
  readonly idleCpu: number;
  readonly wallP50Ms: number;
  readonly wallP99Ms: number;
}

const COLUMNS: readonly [string, keyof Result, number][] = [
  ['MailRelays', 'relays', 0],
  ['start to steady s', 'steadyS', 1],
  ['writes at start', 'writesAtStart', 0],
  ['reads at start', 'readsAtStart', 0],
  ['anon MB', 'anonMb', 0],
  ['idle CPU %', 'idleCpu', 2],
  ['calls at rest', 'callsAtRest', 0],
  ['own p50 ms', 'ownP50Ms', 1],
  ['own p99 ms', 'ownP99Ms', 1],
  ['wall p50 ms', 'wallP50Ms', 0],
  ['wall p99 ms', 'wallP99Ms', 0],
  ['CPU ms/edit', 'cpuMsPerEdit', 1],
  ['calls/edit', 'callsPerEdit', 1],
];

/** MailRelays that have both listeners. */
const longer = new Set<string>();

interface Edit {
  readonly ownMs: number;
  readonly wallMs: number;
}

async function measure(api: Plane, relays: number, edits: number, idleMs: number): Promise<Result> {
  const since = Date.now();
  const operator = await Operator.start(api, { identity: `bench-${relays}` });
  try {
    await until('a steady operator', () => isSteady(operator, relays), STEADY_MS);
    const steadyS = (Date.now() - since) / 1000;
    const atStart = api.calls(since).filter((call) => !isRest(call));
    const rest = await measureRest(api, operator, idleMs);
    return {
      relays,
      steadyS,
      writesAtStart: atStart.filter(({ kind }) => kind === 'write').length,
      readsAtStart: atStart.filter(({ kind }) => kind === 'read').length,
      ...rest,
      ...(await measureEdits(api, operator, relays, edits)),
    };
  } finally {
    await operator.end('SIGTERM');
  }
}

/** Each MailRelay is looked at twice: when its turn comes, and when its pods have said what they serve. */
async function isSteady(operator: Operator, relays: number): Promise<boolean> {
  const { text } = await operator.health('/metrics');
  const figure = (name: string) =>
    Number(new RegExp(`^mailrelay_operator_${name} (.*)$`, 'm').exec(text)?.[1]);
  return figure('reconciles_total{result="ok"}') >= 2 * relays && figure('queue_depth') === 0;
}

async function measureRest(api: Plane, operator: Operator, idleMs: number) {
  const [since, cpu] = [Date.now(), cpuMsOf(operator.pid)];
  await new Promise((resolve) => setTimeout(resolve, idleMs));
  return {
    anonMb: memoryOf(operator.pid).anonMb,
    idleCpu: (100 * (cpuMsOf(operator.pid) - cpu)) / (Date.now() - since),
    callsAtRest: api.calls(since).filter((call) => !isRest(call)).length,
  };
}

async function measureEdits(api: Plane, operator: Operator, relays: number, count: number) {
  const [since, cpu] = [Date.now(), cpuMsOf(operator.pid)];
  const edits: Edit[] = [];
  for (let index = 0; index < count; index++) {
    const relay = nameOf(Math.floor((index * relays) / count));
    edits.push(await edit(api, operator, relay));
  }
  const own = edits.map(({ ownMs }) => ownMs);
  const wall = edits.map(({ wallMs }) => wallMs);
  return {
    ownP50Ms: percentile(own, 50),
    ownP99Ms: percentile(own, 99),
    wallP50Ms: percentile(wall, 50),
    wallP99Ms: percentile(wall, 99),
    cpuMsPerEdit: (cpuMsOf(operator.pid) - cpu) / count,
    callsPerEdit: api.calls(since).filter((call) => !isRest(call)).length / count,
  };
}

/** One listener more, or one less: policy, NetworkPolicy and Service follow. */
async function edit(api: Plane, operator: Operator, name: string): Promise<Edit> {
  const listeners = longer.delete(name) ? LISTENERS.slice(0, 1) : LISTENERS;
  if (listeners === LISTENERS) longer.add(name);
  const seen = operator.log.length;
  const begun = Date.now();
  const relay = await putRelay(api, relayNamed(NAMESPACE, name, { inbound: { listeners } }));
  const lines = () => operator.log.slice(seen).filter((line) => line['relay'] === `${NAMESPACE}/${name}`);
  const written = await until(
    'the objects',
    () => {
      const all = lines();
      const end = all.findIndex(({ event }) => event === 'reconciled');
      return end > 0 ? all.slice(0, end + 1) : undefined;
    },
    60_000,
  );
  const last = written.findLast(({ event }) => event === 'applied');
  if (!last) throw new Error(`The edit of ${name} changed nothing: ${JSON.stringify(relay['spec'])}`);
  await whenSettled(api, NAMESPACE, name);
  return { ownMs: Number(written.at(-1)?.['ownMs']), wallMs: Date.parse(last.time) - begun };
}

function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil((percent / 100) * sorted.length) - 1] ?? Number.NaN;
}

function tableOf(results: readonly Result[]): string {
  const rows = results.map((result) =>
    COLUMNS.map(([, field, digits]) => Number(result[field]).toFixed(digits)),
  );
  const head = COLUMNS.map(([title]) => title);
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

const { values } = parseArgs({
  options: {
    relays: { type: 'string', default: '100,200,1000' },
    edits: { type: 'string', default: '100' },
    'idle-seconds': { type: 'string', default: '60' },
    json: { type: 'boolean', default: false },
  },
});

const api = await plane();
const pods = new Pods(api);
await pods.start();
const results: Result[] = [];
let made = 0;
for (const relays of values.relays.split(',').map(Number)) {
  const maker = await Operator.start(api, { identity: `make-${relays}` });
  await makeRelays(api, NAMESPACE, relays, made);
  made = relays;
  await settled(api, NAMESPACE, relays, 1_800_000);
  await maker.end('SIGTERM');
  const result = await measure(api, relays, Number(values.edits), Number(values['idle-seconds']) * 1000);
  results.push(result);
  if (values.json) console.log(JSON.stringify(result));
}
if (!values.json) console.log(`${tableOf(results)}\n\n${barsOf(results)}`);
await pods.stop();
