/** That the benchmark runs: our relay for a second, everything accepted is delivered. How long it takes is not judged. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { makeAuthority, type Pair } from '#test/kit/ca.ts';
import { measure } from './measure.ts';
import { relay } from './peers/relay.ts';
import { SCENARIOS } from './scenarios.ts';
import { ratiosOf, spreadOf, tableOf } from './table.ts';

let pair: Pair;

before(async () => {
  pair = await (await makeAuthority()).issue(['relay.bench.example', 'localhost']);
});

for (const letter of ['A', 'F', 'P']) {
  test(`scenario ${letter} loses and doubles nothing`, async () => {
    const scenario = SCENARIOS.find((one) => one.letter === letter);
    assert.ok(scenario);
    const result = await measure(relay, scenario, pair, 0.02);
    assert.ok(result.accepted > 0);
    const { lost, duplicated, errors } = result;
    assert.deepEqual({ lost, duplicated, errors }, { lost: 0, duplicated: 0, errors: {} });
    assert.match(result.tlsIn, /^TLS 1\.3 X25519/);
    assert.match(result.tlsOut, /^TLS 1\.3 X25519/);
    // A next hop in another process may answer before the relay hears that all has left. That ends no connection.
    if (letter === 'A')
      assert.ok(result.connectionsOut < result.accepted / 2, `${result.connectionsOut} connections`);
    assert.ok(result.cpuMsPerMessage > 0 && result.peakAnonMb > 0);
    assert.match(tableOf([result]), new RegExp(`${letter} mailrelay \\| 1 `));
  });
}

test('a ratio is taken in pairs, and of many runs the middle one counts', async () => {
  assert.deepEqual(spreadOf([3, 1, 2]), { median: 2, low: 1, high: 3 });
  assert.deepEqual(spreadOf([4, 1]), { median: 2.5, low: 1, high: 4 });
  const run = { scenario: 'A', deliveredPerS: 1, acceptedPerS: 1, p99Ms: 1, peakAnonMb: 1, peakPssMb: 1 };
  const results = [1, 2, 4, 4].map((cpuMsPerMessage, index) => ({
    ...run,
    peer: index % 2 === 0 ? 'ours' : 'theirs',
    cpuMsPerMessage,
  }));
  assert.match(
    ratiosOf(results as unknown as Parameters<typeof ratiosOf>[0], 'ours'),
    /A \/ theirs \| 2 \| 0\.75/,
  );
});
