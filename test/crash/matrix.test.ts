/**
 * The crash matrix: whatever a relay does, a process of it, or all of it, is ended before or after each call that changes
 * the disk, and each such call fails. What was acknowledged is never lost, and never in the queue without being known. A
 * sample of every kind by `make test`; every call by `make soak`, in a thousand rounds or more.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Fault, shimProblem } from '#test/kit/diskshim.ts';
import { seed } from '#test/kit/seed.ts';
import { FaultBench, type Operation } from './faultbench.ts';
import { faultsAt, SOAK, sampled, someOf, sureFault } from './faults.ts';
import { OPERATIONS } from './operations.ts';

const problem = shimProblem();

describe('a fault at any call to the disk', { concurrency: false, skip: problem }, () => {
  let bench: FaultBench;
  before(async () => {
    if (!problem) bench = await FaultBench.start();
  });
  after(() => bench?.stop());

  /** What went wrong, each with the fault that it came of. */
  async function tryOne(operation: Operation, fault: Fault): Promise<{ fired: boolean; wrong: string[] }> {
    const { fired, lost, unknown } = await bench.round(operation, fault).catch(async (error: Error) => {
      await bench.restart();
      return { fired: error.message, lost: [], unknown: ['the relay is stuck'] };
    });
    const wrong = [...lost.map((one) => `lost: ${one}`), ...unknown.map((one) => `unknown: ${one}`)];
    const told = wrong.map((one) => `${one}: MAILRELAY_FAULT='${JSON.stringify(fault)}', ${fired}`);
    for (const one of told) process.stderr.write(`${operation.name}: ${one}\n`);
    return { fired: fired !== undefined, wrong: told };
  }

  for (const operation of OPERATIONS) {
    test(`${operation.name}: nothing is lost`, { timeout: 3_600_000 }, async (context) => {
      context.diagnostic(`seed ${seed} (MAILRELAY_SEED)`);
      const all: Fault[] = [];
      const kinds = someOf(operation.by);
      for (const by of kinds) {
        const calls = await bench.calls(operation, by);
        context.diagnostic(`${calls} calls by the ${by}`);
        all.push(...faultsAt(by, calls));
      }
      const rounds = [];
      for (const fault of sampled(all, operation.by.length > 1 ? 1 : 2))
        rounds.push(await tryOne(operation, fault));
      // A drawn fault does not come where this round has fewer calls than the counted one.
      const [by] = kinds;
      if (by && !rounds.some(({ fired }) => fired)) rounds.push(await tryOne(operation, sureFault(by)));
      const wrong = rounds.flatMap((round) => round.wrong);
      const faults = rounds.filter(({ fired }) => fired).length;
      context.diagnostic(`${rounds.length} rounds, ${faults} faults, ${wrong.length} wrong`);
      assert.deepEqual(wrong, []);
      assert.ok(faults >= (SOAK ? rounds.length / 2 : 1), `only ${faults} faults came`);
    });
  }

  // SQLite then opens the file for reading only, and such a handle never gets better.
  for (const name of ['queue.db', 'queue.db.lock'] as const)
    for (const by of ['listener', 'router'] as const)
      test(`${name} that the ${by} cannot open for a moment is opened again`, async () => {
        const operation = OPERATIONS.find((one) => one.name === 'change the policy');
        assert.ok(operation);
        const fault: Fault = { harm: { kind: 'fail', error: 'EIO' }, by, at: 1, calls: ['open'], name };
        const { fired, wrong } = await tryOne(operation, fault);
        assert.ok(fired, 'the fault did not come');
        assert.deepEqual(wrong, []);
      });
});
