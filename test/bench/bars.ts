/** What the operator is to keep with many MailRelays, held against what was measured: a table with a row for each bar. Pure. */

export interface Measured {
  readonly relays: number;
  /** From the start of the process to every MailRelay looked at with what its pods say. */
  readonly steadyS: number;
  readonly writesAtStart: number;
  readonly anonMb: number;
  readonly callsAtRest: number;
  /** Percent of a core. */
  readonly idleCpu: number;
  readonly ownP50Ms: number;
  readonly ownP99Ms: number;
  readonly cpuMsPerEdit: number;
  readonly callsPerEdit: number;
}

type Figure = keyof Measured;

const BARS: readonly {
  readonly relays?: number;
  readonly figure: Figure;
  readonly most: number;
  readonly what: string;
}[] = [
  { relays: 1_000, figure: 'ownP50Ms', most: 25, what: 'own share of an edit, p50 ms' },
  { relays: 1_000, figure: 'ownP99Ms', most: 100, what: 'own share of an edit, p99 ms' },
  { relays: 1_000, figure: 'steadyS', most: 60, what: 'start to steady, s' },
  { relays: 1_000, figure: 'anonMb', most: 300, what: 'anonymous memory, MB' },
  { relays: 200, figure: 'anonMb', most: 200, what: 'anonymous memory, MB' },
  { relays: 200, figure: 'idleCpu', most: 0.5, what: 'CPU at rest, % of a core' },
  { figure: 'writesAtStart', most: 0, what: 'writes at a start with all settled' },
  { figure: 'callsAtRest', most: 0, what: 'calls at rest beside watches and Lease' },
];

/** Of 100 and of 1,000: ten times the MailRelays, and an edit costs the same, within what a busy machine adds. */
const GROWTH: readonly { readonly figure: Figure; readonly most: number; readonly what: string }[] = [
  { figure: 'callsPerEdit', most: 1.1, what: 'calls of an edit' },
  { figure: 'cpuMsPerEdit', most: 1.25, what: 'CPU of an edit' },
];

interface Row {
  readonly bar: string;
  readonly measured: number;
  readonly most: number;
}

function rowsOf(results: readonly Measured[]): Row[] {
  const atMost = BARS.flatMap(({ relays, figure, most, what }) =>
    results
      .filter((result) => relays === undefined || result.relays === relays)
      .map((result) => ({
        bar: `${result.relays} MailRelays: ${what} <= ${most}`,
        measured: result[figure],
        most,
      })),
  );
  const sizes = results.toSorted((a, b) => a.relays - b.relays);
  const [fewest, most] = [sizes[0], sizes.at(-1)];
  if (!fewest || !most || fewest === most) return atMost;
  const growth = GROWTH.map(({ figure, most: times, what }) => ({
    bar: `${what} with ${most.relays}, to that with ${fewest.relays} MailRelays <= ${times}`,
    measured: most[figure] / fewest[figure],
    most: times,
  }));
  return [...atMost, ...growth];
}

/** In Markdown; bars of numbers that were not measured are left out. */
export function barsOf(results: readonly Measured[]): string {
  const rows = rowsOf(results).map(({ bar, measured, most }) => [
    bar,
    String(Math.round(measured * 100) / 100),
    measured <= most ? 'met' : 'missed',
  ]);
  return [['bar', 'measured', ''], ['---', '---', '---'], ...rows]
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n');
}

/** The bars that a table of `barsOf`, among other lines, calls missed. */
export function missedBars(lines: readonly string[]): string[] {
  return lines.flatMap((line) => {
    const [, bar, measured, verdict] = line.split(/\s*\|\s*/);
    return verdict === 'missed' ? [`${bar}: ${measured}`] : [];
  });
}
