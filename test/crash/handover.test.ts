/**
 * The crash matrix of a hand-over: at each call to the disk by the end that gives, or by the end that receives, a process
 * or a whole pod ends, or the call fails; every message is with the pod that stays in the end, and the other one is empty.
 * Some of them by `make test`, all by `make soak`.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Fault, shimProblem } from '#test/kit/diskshim.ts';
import { faultsAt, SOAK, sampled, sureFault } from './faults.ts';
import { HandoverBench, type Side } from './handoverbench.ts';

const SIDES: readonly Side[] = ['giver', 'receiver'];
const problem = shimProblem();

describe('a fault at any call to the disk while a queue is handed over', {
  concurrency: false,
  skip: problem,
}, () => {
  let bench: HandoverBench;
  before(async () => {
    if (!problem) bench = await HandoverBench.start();
  });
  after(() => bench?.stop());

  for (const side of SIDES) {
    test(`of the ${side}: nothing is lost`, { timeout: 3_600_000 }, async (context) => {
      const calls = await bench.calls(side);
      const wrong: string[] = [];
      let fired = 0;
      const tryOne = async (fault: Fault) => {
        const round = await bench.round(side, fault);
        if (round.fired !== undefined) fired += 1;
        wrong.push(...round.wrong.map((one) => `${one}: ${JSON.stringify(fault)}, ${round.fired}`));
      };
      const faults = sampled(faultsAt(side, calls), 1);
      for (const fault of faults) await tryOne(fault);
      // A drawn fault does not come where this round has fewer calls than the counted one.
      if (fired === 0) await tryOne(sureFault(side));
      context.diagnostic(`${calls} calls, ${fired} faults, ${wrong.length} wrong`);
      assert.deepEqual(wrong, []);
      assert.ok(fired >= (SOAK ? faults.length / 2 : 1), `only ${fired} faults came`);
    });
  }
});
