/**
 * The full numbers, run by hand: the same stories as `make test` at their full length. Writes a dated report with what
 * was run, on what, and what it printed; the report is committed. Exit status 1 when something failed. Arguments choose
 * among the stories (`load` for all of test/load), and the report is named after them.
 */
import { machine, type Part, runPart, today, writeReport } from './kit/soakreport.ts';

const STORIES = [
  'test/crash/kill.test.ts',
  'test/crash/router.test.ts',
  'test/crash/changes.test.ts',
  'test/crash/disk.test.ts',
  'test/crash/diskshim.test.ts',
  'test/crash/matrix.test.ts',
  'test/crash/handover.test.ts',
  'test/crash/powerloss.test.ts',
  'test/delivery/retry.soak.ts',
  'test/delivery/stranger.test.ts',
  'test/interop/arm64.soak.ts',
  'test/interop/testssl.test.ts',
  'test/load/domains.soak.ts',
  'test/load/idle.test.ts',
  'test/load/large.test.ts',
  'test/load/slowloris.test.ts',
  'test/cluster/2-pages.test.ts',
  'test/cluster/5-autoscaling.test.ts',
  'test/cluster/6-versions.test.ts',
  'test/cluster/8-oncall.test.ts',
];
const TESTS = ['--test', '--test-reporter=spec'];

const wanted = process.argv.slice(2);
const stories = STORIES.filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)));
const parts: Part[] = [];
for (const file of stories) {
  const tests = file.startsWith('test/cluster/') ? ['test/cluster/run.ts', 'test'] : TESTS;
  parts.push(await runPart(file, [...tests, file]));
  report(parts);
}
process.exitCode = parts.some(({ status }) => status !== 0) ? 1 : 0;

/** Written after each part: a run that is cut short leaves the parts that it finished. */
function report(done: readonly Part[]): void {
  const failed = done.filter(({ status }) => status !== 0).length;
  const passed =
    done.length === stories.length ? 'All passed.' : `${done.length} of ${stories.length} ran, all passed.`;
  const verdict = failed === 0 ? passed : `${failed} of ${done.length} failed.`;
  const name = [today(), 'soak', ...wanted].join('-');
  writeReport(name, ['Soak of', today(), ...wanted].join(' '), `${machine()}. ${verdict}`, done);
}
