/** Results as a table: for each scenario and peer the median of its runs with their range, and our ratio to the others. Pure. */
import type { Result } from './measure.ts';

export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const at = (index: number) => sorted[index] ?? Number.NaN;
  const median = sorted.length % 2 === 1 ? at(middle) : (at(middle - 1) + at(middle)) / 2;
  return { median, low: at(0), high: at(sorted.length - 1) };
}

type Figure = keyof { [K in keyof Result as Result[K] extends number | null ? K : never]: Result[K] };

const COLUMNS: readonly [string, Figure, number][] = [
  ['accepted/s', 'acceptedPerS', 0],
  ['delivered/s', 'deliveredPerS', 0],
  ['p50 ms', 'p50Ms', 1],
  ['p99 ms', 'p99Ms', 1],
  ['CPU ms/msg', 'cpuMsPerMessage', 2],
  ['load CPU ms/msg', 'loadCpuMsPerMessage', 2],
  ['peak PSS MB', 'peakPssMb', 0],
  ['peak anon MB', 'peakAnonMb', 0],
  ['syncs/msg', 'syncsPerMessage', 2],
  ['lost', 'lost', 0],
  ['dup', 'duplicated', 0],
  ['foreign cores', 'foreignCores', 1],
];

export function groupsOf(results: readonly Result[]): Map<string, Result[]> {
  const groups = new Map<string, Result[]>();
  for (const result of results) {
    const key = `${result.scenario} ${result.peer}`;
    groups.set(key, [...(groups.get(key) ?? []), result]);
  }
  return new Map([...groups].sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function spread(runs: readonly Result[], figure: Figure): Spread | undefined {
  const values = runs.map((run) => run[figure]).filter((value) => value !== null);
  return values.length > 0 ? spreadOf(values) : undefined;
}

/** In Markdown. */
export function tableOf(results: readonly Result[]): string {
  const rows = [...groupsOf(results)].map(([key, runs]) => {
    const cells = COLUMNS.map(([, figure, digits]) => cell(spread(runs, figure), digits));
    return [key, String(runs.length), ...cells, sidesOf(runs)];
  });
  const head = ['', 'runs', ...COLUMNS.map(([title]) => title), 'TLS in; out'];
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

/** Version, group and cipher, as client and sink saw them. */
function sidesOf(runs: readonly Result[]): string {
  return [...new Set(runs.map(({ tlsIn, tlsOut }) => `${tlsIn || 'none'}; ${tlsOut || 'none'}`))].join(', ');
}

/** Ours to another peer, in pairs of the same round. */
export function ratiosOf(results: readonly Result[], ours: string): string {
  const lines: string[] = [];
  for (const scenario of [...new Set(results.map((one) => one.scenario))].sort()) {
    const runsOf = (peer: string) => results.filter((one) => one.scenario === scenario && one.peer === peer);
    for (const peer of new Set(results.map((one) => one.peer))) {
      const pairs = runsOf(ours).flatMap((mine, round) => {
        const other = runsOf(peer)[round];
        return peer !== ours && other ? [[mine, other] as const] : [];
      });
      if (pairs.length === 0) continue;
      const ratio = (figure: Figure) =>
        cell(spreadOf(pairs.map(([a, b]) => Number(a[figure]) / Number(b[figure]))), 2);
      const cells = [
        ratio('cpuMsPerMessage'),
        ratio('deliveredPerS'),
        ratio('acceptedPerS'),
        ratio('p99Ms'),
        cell(spreadOf(pairs.map(([a, b]) => a.peakAnonMb / b.peakPssMb)), 2),
      ];
      lines.push(`| ${scenario} / ${peer} | ${pairs.length} | ${cells.join(' | ')} |`);
    }
  }
  const head = ['ours to', 'pairs', 'CPU/msg', 'delivered/s', 'accepted/s', 'p99', 'our anon to its PSS'];
  return [`| ${head.join(' | ')} |`, `|${' --- |'.repeat(head.length)}`, ...lines].join('\n');
}

function cell(value: Spread | undefined, digits: number): string {
  if (!value) return '–';
  const text = (number: number) => number.toFixed(digits);
  const [median, low, high] = [value.median, value.low, value.high].map(text);
  return low === high ? `${median}` : `${median} (${low}–${high})`;
}
