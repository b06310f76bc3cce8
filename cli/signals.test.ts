import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

const SIGNALS = new URL('signals.ts', import.meta.url).href;

/** Runs a script that signals itself; gives its exit status. */
function run(...lines: string[]): number | null {
  const script = [
    `import { endAtSignals, untilStopSignal } from '${SIGNALS}';`,
    // Without a listener for the signal the process would end by it, or stay.
    'setTimeout(() => process.exit(99), 60_000);',
    'const ask = (signal) => process.kill(process.pid, signal);',
    'endAtSignals();',
    ...lines,
  ];
  return spawnSync(process.execPath, ['--input-type=module', '--eval', script.join('\n')]).status;
}

test('a signal ends a command at once, until a verb waits for it', () => {
  assert.equal(run("ask('SIGTERM');"), 143);
  assert.equal(run("ask('SIGINT');"), 130);
  for (const signal of ['SIGTERM', 'SIGINT'])
    assert.equal(
      run('const stop = untilStopSignal();', `ask('${signal}');`, 'await stop; process.exit(7);'),
      7,
    );
});

test('a second signal does not wait for the end of the work', () => {
  const work = "await untilStopSignal(); ask('SIGTERM'); await new Promise(() => 0);";
  assert.equal(run("setImmediate(() => ask('SIGINT'));", work), 1);
});
