import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import { hopTo, policyOf } from '#test/kit/relayrig.ts';
import { attempt, type HopResult, type HopWay } from './attempt.ts';
import type { AttemptResult, Destination, NextHop, Parcel } from './courier.ts';
import { FailedHops } from './failedhops.ts';
import { SYSTEM_NAMES } from './names.ts';
import { NO_DISCOVERY } from './tlsfindings.ts';

const parcel = { to: ['you@example.net'] } as unknown as Parcel;

function unreachable(status: string, hadSession = false): HopResult {
  const cause = status.startsWith('5') ? 'policy' : 'connect';
  return { kind: 'unreachable', failure: makeFailure({ cause, status, text: 'no' }), hadSession };
}

/** Attempts over these hops, and the addresses that each of them asked. */
function attempts(
  hosts: readonly string[],
  answer: (address: string) => HopResult,
  mx: Pick<NextHop, 'mxOf'> = {},
) {
  let now = 0;
  const failedHops = new FailedHops(() => now);
  const hops: NextHop[] = hosts.map((host) => ({ ...hopTo(25, { host }), ...mx }));
  const destination: Destination = { kind: 'hops', key: 'x', name: 'x', rule: 'x', hops };
  return async (): Promise<{ result: AttemptResult; asked: string[] }> => {
    now += 1_000;
    const asked: string[] = [];
    const client = {
      resume: async () => undefined,
      deliver: async (_way: HopWay, address: string) => {
        asked.push(address);
        return answer(address);
      },
    };
    const deps = {
      client,
      policy: policyOf(),
      random: () => 0.5,
      failedHops,
      discovery: NO_DISCOVERY,
      names: SYSTEM_NAMES,
    };
    return { result: await attempt(destination, parcel, deps), asked };
  };
}

const hosts = (count: number) => Array.from({ length: count }, (_, index) => `192.0.2.${index + 1}`);

test('mail is given up only where every host was asked: one beyond the share of an attempt may take it', async () => {
  const seven = attempts(hosts(7), () => unreachable('5.4.6'));
  const { result, asked } = await seven();
  assert.deepEqual(asked, hosts(5));
  assert.ok(result.kind === 'unreachable' && !result.failure.permanent);
  assert.equal(result.failure.status, '4.4.6');
  const five = await attempts(hosts(5), () => unreachable('5.4.6'))();
  assert.ok(five.result.kind === 'answered');
  assert.deepEqual((await seven()).asked.slice(0, 2), ['192.0.2.6', '192.0.2.7']);
});

for (const hadSession of [false, true]) {
  test(`hosts that ${hadSession ? 'end their sessions' : 'do not answer'} have their turn one after the other`, async () => {
    const next = attempts(hosts(12), () => unreachable('4.4.1', hadSession));
    const asked = [...(await next()).asked, ...(await next()).asked, ...(await next()).asked];
    assert.deepEqual(asked, [...hosts(12), ...hosts(3)]);
  });
}

test('a domain whose many mail hosts are all this machine is final', async () => {
  const own = Array.from({ length: 30 }, (_, index) => `127.0.0.${index + 1}`);
  const { result, asked } = await attempts(own, () => unreachable('4.4.1'), { mxOf: 'example.net' })();
  const [verdict] = result.kind === 'answered' ? result.verdicts : [];
  assert.ok(verdict?.kind === 'failed' && verdict.failure.status === '5.4.4');
  assert.deepEqual(asked, []);
});

test('what waits has a status that says so, whatever one of the failures says', async () => {
  const mixed = attempts(hosts(2), (address) => unreachable(address.endsWith('1') ? '5.4.6' : '4.4.1'));
  const { result } = await mixed();
  assert.ok(result.kind === 'unreachable');
  assert.deepEqual([result.failure.permanent, result.failure.status], [false, '4.4.1']);
});
