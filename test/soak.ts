/**
 * The full numbers, run by hand: the same stories as `make test` at their full length. Writes a dated report with what
 * was run, on what, and what it printed; the report is committed. Exit status 1 when something failed. Arguments choose
 * among the stories (`load` for all of test/load), and the report is named after them.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';

const STORIES = [
  'test/crash/kill.test.ts',
  'test/crash/router.test.ts',
  'test/crash/changes.test.ts',
  'test/crash/disk.test.ts',
  'test/delivery/retry.soak.ts',
  'test/interop/testssl.test.ts',
  'test/load/idle.test.ts',
  'test/load/large.test.ts',
  'test/load/slowloris.test.ts',
  'test/cluster/4-scale.test.ts',
  'test/cluster/6-versions.test.ts',
];
const TESTS = ['--test', '--test-reporter=spec'];
const REPORTS = new URL('../docs/reports/', import.meta.url);

async function run(file: string): Promise<{ status: number; lines: string[] }> {
  const tests = file.startsWith('test/cluster/') ? ['test/cluster/run.ts', 'test'] : TESTS;
  const child = spawn(process.execPath, [...tests, file], {
    env: { ...process.env, MAILRELAY_SOAK: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
    process.stdout.write(chunk);
  });
  const status = await new Promise<number>((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
  const lines = text
    .split('\n')
    .filter((line) => /^\s*(✔|✖|ℹ) /.test(line) && !/ℹ (suites|cancelled|skipped|todo)/.test(line));
  return { status, lines };
}

const parts = process.argv.slice(2);
const stories = STORIES.filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)));
const day = new Date().toISOString().slice(0, 10);
const sections: string[] = [];
let failed = 0;
for (const file of stories) {
  const { status, lines } = await run(file);
  failed += status === 0 ? 0 : 1;
  sections.push(`## ${file}\n\n\`\`\`\n${lines.join('\n')}\n\`\`\`\n`);
}
const machine = `${cpus().length} cores (${cpus()[0]?.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release().split('-')[0]}, Node ${process.version}`;
mkdirSync(REPORTS, { recursive: true });
writeFileSync(
  new URL(`${[day, 'soak', ...parts].join('-')}.md`, REPORTS),
  `${['# Soak of', day, ...parts].join(' ')}\n\n${machine}. ${failed === 0 ? 'All passed.' : `${failed} of ${stories.length} failed.`}\n\n${sections.join('\n')}`,
);
process.exitCode = failed === 0 ? 0 : 1;
