/**
 * The full numbers of the operator, run by hand: its stories at their full length, and its benchmark. Writes a dated
 * report with what was run, on what, and what it printed; the report is committed. Exit status 1 when something failed. A
 * bar of the benchmark that is missed is named in the verdict and fails nothing: a busy machine misses some.
 */
import { spawn } from 'node:child_process';
import { globSync, mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { missedBars } from './bench/bars.ts';

const RUNNER = new URL('operator/run.ts', import.meta.url).pathname;
const REPORTS = new URL('../docs/reports/', import.meta.url);
/** What a reader wants to see: results, what the stories tell, and the tables of the benchmark. */
const TOLD = /^\s*(✔|✖|ℹ (?!suites|cancelled|skipped|todo)) |^\|/;

interface Section {
  readonly title: string;
  readonly status: number;
  readonly lines: readonly string[];
}

async function run(title: string, ...args: string[]): Promise<Section> {
  const child = spawn(process.execPath, [RUNNER, ...args], {
    env: { ...process.env, MAILRELAY_SOAK: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
    process.stdout.write(chunk);
  });
  const status = await new Promise<number>((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
  return { title, status, lines: text.split('\n').filter((line) => TOLD.test(line)) };
}

const sections: Section[] = [];
for (const file of globSync('test/operator/*.test.ts').toSorted())
  sections.push(await run(file, 'test', file));
sections.push(await run('make bench-operator', 'bench'));

const failed = sections.filter(({ status }) => status !== 0).map(({ title }) => title);
const day = new Date().toISOString().slice(0, 10);
const machine = `${cpus().length} cores (${cpus()[0]?.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release().split('-')[0]}, Node ${process.version}, load ${loadavg()[2]?.toFixed(1)}`;
const missed = missedBars(sections.flatMap(({ lines }) => lines));
const verdict = [
  failed.length === 0 ? 'All passed.' : `Failed: ${failed.join(', ')}.`,
  missed.length === 0 ? 'No bar is missed.' : `Missed: ${missed.join('; ')}.`,
].join(' ');
const texts = sections.map(({ title, lines }) => `## ${title}\n\n\`\`\`\n${lines.join('\n')}\n\`\`\`\n`);
mkdirSync(REPORTS, { recursive: true });
writeFileSync(
  new URL(`${day}-operator-soak.md`, REPORTS),
  `# Soak of the operator, ${day}\n\n${machine}. ${verdict}\n\n${texts.join('\n')}`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
