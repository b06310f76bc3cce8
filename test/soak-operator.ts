/**
 * The full numbers of the operator, run by hand: its stories at their full length, and its benchmark. Writes a dated
 * report with what was run, on what, and what it printed; the report is committed. Exit status 1 when something failed. A
 * bar of the benchmark that is missed is named in the verdict and fails nothing: a busy machine misses some.
 */
import { globSync } from 'node:fs';
import { loadavg } from 'node:os';
import { missedBars } from './bench/bars.ts';
import { machine, type Part, runPart, today, writeReport } from './kit/soakreport.ts';

const RUNNER = new URL('operator/run.ts', import.meta.url).pathname;

const parts: Part[] = [];
for (const file of globSync('test/operator/*.test.ts').toSorted())
  parts.push(await runPart(file, [RUNNER, 'test', file]));
parts.push(await runPart('make bench-operator', [RUNNER, 'bench']));

const failed = parts.filter(({ status }) => status !== 0).map(({ title }) => title);
const missed = missedBars(parts.flatMap(({ lines }) => lines));
const verdict = [
  failed.length === 0 ? 'All passed.' : `Failed: ${failed.join(', ')}.`,
  missed.length === 0 ? 'No bar is missed.' : `Missed: ${missed.join('; ')}.`,
].join(' ');
const about = `${machine()}, load ${loadavg()[2]?.toFixed(1)}`;
writeReport(`${today()}-operator-soak`, `Soak of the operator, ${today()}`, `${about}. ${verdict}`, parts);
process.exitCode = failed.length === 0 ? 0 : 1;
