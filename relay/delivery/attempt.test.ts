import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import { hopTo, policyOf } from '#test/kit/relayrig.ts';
import { attempt, type HopResult, type HopWay } from './attempt.ts';
import type { AttemptResult, Destination, NextHop, Parcel } from './courier.ts';
import { FailedHops } from './failedhops.ts';
import { type MailNames, SYSTEM_NAMES } from './names.ts';
import { NO_DISCOVERY } from './tlsfindings.ts';
import { judgeReply } from './verdict.ts';

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
  priorities: readonly number[] = [],
  names: MailNames = SYSTEM_NAMES,
) {
  let now = 0;
  const failedHops = new FailedHops(() => now);
  const hops: NextHop[] = hosts.map((host, index) => ({
    ...hopTo(25, { host }),
    ...mx,
    priority: priorities[index] ?? 0,
  }));
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
      names,
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

test('what is not known of a domain says nothing of its hosts, and what is asked ends with the attempt', async () => {
  const unasked = makeFailure({ cause: 'dns', status: '4.4.3', text: 'not asked' });
  const failedHops = new FailedHops(() => 0);
  const records = [1, 2].map((priority) => ({ exchange: `mx${priority}.shared.example`, priority }));
  const names = { lookUp: async (name: string) => ({ kind: 'records', name, records, isSigned: false }) };
  const left: (AbortSignal | undefined)[] = [];
  const deps = {
    client: { resume: () => assert.fail(), deliver: () => assert.fail() },
    policy: policyOf(),
    random: () => 0.5,
    failedHops,
    discovery: {
      ...NO_DISCOVERY,
      findSts: async (_: string, signal?: () => AbortSignal) => {
        left.push(signal?.());
        return { kind: 'unasked', failure: unasked } as const;
      },
    },
    names: names as MailNames,
  };
  const asking: Destination = {
    ...{ kind: 'mx', key: 'x', name: 'x', rule: 'x', domain: 'new.example' },
    ...{ tlsLevel: 'Opportunistic', minTlsVersion: 'TLSv1.2', sourceAddresses: [], socksProxy: null },
  };
  const ended = attempt(asking, { ...parcel, saysTlsNotRequired: async () => false }, deps);
  assert.equal(left[0]?.aborted, false);
  const result = await ended;
  assert.equal(result.kind === 'unreachable' && result.failure.text, 'not asked');
  assert.equal(left[0]?.aborted, true);
  const others = ['mx1.shared.example', 'backup.example'].map((host) => ({
    ...hopTo(25, { host }),
    mxOf: 'other.example',
  }));
  assert.deepEqual(failedHops.order(others), others);
});

test('what waits has a status that says so, whatever one of the failures says', async () => {
  const mixed = attempts(hosts(2), (address) => unreachable(address.endsWith('1') ? '5.1.3' : '4.4.1'));
  const { result } = await mixed();
  assert.ok(result.kind === 'unreachable');
  assert.deepEqual([result.failure.permanent, result.failure.status], [false, '4.4.1']);
});

/** How each host of an MX list answers, with its preference. */
type Answer = 'loop' | 'dead' | 'takes' | 'defers';
interface Listed {
  readonly answer: Answer;
  readonly priority: number;
}

function answers(list: readonly Listed[], mx: Pick<NextHop, 'mxOf'>) {
  const give = (address: string): HopResult => {
    const { answer = 'dead' } = list[Number(address.split('.')[3]) - 1] ?? {};
    if (answer === 'loop') return unreachable('5.4.6');
    if (answer === 'dead') return unreachable('4.4.1');
    const reply = answer === 'takes' ? '250 2.0.0 Ok' : '451 4.7.1 Later';
    const verdicts = [judgeReply(Number(reply.slice(0, 3)), reply, 'RCPT')];
    return { kind: 'answered', verdicts, tls: null, tellsSender: false, mayTryAnother: answer === 'defers' };
  };
  return attempts(
    hosts(list.length),
    give,
    mx,
    list.map(({ priority }) => priority),
  );
}

/** The status of the final failure, what waits, or the host that took it. */
function describe({ result }: { result: AttemptResult }): string {
  if (result.kind === 'unreachable') return `waits ${result.failure.status}`;
  const [verdict] = result.verdicts;
  if (verdict?.kind === 'delivered') return `delivered to ${result.hop}`;
  return verdict?.failure.permanent ? `final ${verdict.failure.status}` : `waits ${verdict?.failure.status}`;
}

const list = (text: string): Listed[] =>
  text.split(', ').map((one) => {
    const [priority, answer] = one.split(' ');
    return { priority: Number(priority), answer: answer as Answer };
  });

for (const [mx, end] of [
  ['10 loop, 20 dead', 'final 5.4.6'],
  ['10 loop, 20 takes', 'final 5.4.6'],
  ['10 loop, 10 dead', 'final 5.4.6'],
  // A backup keeps the mail for the hosts before it, and never gives it to itself.
  ['10 dead, 20 loop', 'waits 4.4.1'],
  ['10 dead, 20 loop, 30 takes', 'waits 4.4.1'],
  ['10 defers, 20 loop', 'waits 4.7.1'],
  ['10 takes, 20 loop', 'delivered to 192.0.2.1:25'],
  ['10 dead, 15 takes, 20 loop', 'delivered to 192.0.2.2:25'],
] as const)
  test(`an MX list of ${mx}: ${end}, at each attempt`, async () => {
    const next = answers(list(mx), { mxOf: 'example.net' });
    for (let times = 0; times < 4; times++) assert.equal(describe(await next()), end);
  });

for (const [hops, end] of [
  ['0 loop', 'final 5.4.6'],
  ['0 loop, 0 loop', 'final 5.4.6'],
  // Somebody named the other one on purpose, whatever its priority.
  ['0 loop, 0 dead', 'waits 4.4.1'],
  ['0 dead, 0 loop', 'waits 4.4.1'],
  ['0 loop, 1 dead', 'waits 4.4.1'],
  ['0 loop, 1 takes', 'delivered to 192.0.2.2:25'],
  ['0 dead, 1 loop', 'waits 4.4.1'],
] as const)
  test(`configured hops of ${hops}: ${end}`, async () => {
    assert.equal(describe(await answers(list(hops), {})()), end);
  });

test('a loop at one address is a loop, whatever the other addresses of the host do', async () => {
  const both: MailNames = {
    lookUp: async (name: string, type: string) => ({
      kind: 'records',
      name,
      records: type === 'A' ? ['192.0.2.1'] : ['2001:db8::1'],
      isSigned: false,
    }),
  } as unknown as MailNames;
  for (const [loops, asks] of [
    ['2001:db8::1', 2],
    ['192.0.2.1', 1],
  ] as const) {
    const answer = (address: string) => unreachable(address === loops ? '5.4.6' : '4.4.1');
    const ended = await attempts(['mx.example.net'], answer, { mxOf: 'example.net' }, [], both)();
    assert.deepEqual([describe(ended), ended.asked.length], ['final 5.4.6', asks]);
  }
});

test('a mail host that has no address now may have one later, so mail waits for it beside one that cannot be', async () => {
  const none = { lookUp: async (name: string) => ({ kind: 'absent', name, exists: false, isSigned: false }) };
  const next = attempts(
    ['127.0.0.1', 'gone.example.net'],
    () => unreachable('4.4.1'),
    { mxOf: 'example.net' },
    [10, 20],
    none as unknown as MailNames,
  );
  assert.equal(describe(await next()), 'waits 4.4.3');
});

test('whom a host refused before it ended the session is told, whatever the next host answers', async () => {
  const refused = ['you@example.net'];
  const ended = { ...unreachable('4.4.2', true), refused, atOnce: 3 } as HopResult;
  for (const reply of ['450 4.1.1 unverified', '250 2.0.0 Ok'])
    for (const mayTryAnother of [true, false])
      for (const first of ['192.0.2.1', '192.0.2.2']) {
        const verdicts = [judgeReply(Number(reply.slice(0, 3)), reply, 'RCPT')];
        const later: HopResult = { kind: 'answered', verdicts, tls: null, tellsSender: false, mayTryAnother };
        const asking = attempts(hosts(2), (address) => (address === first ? ended : later), {}, [0, 1]);
        const { result, asked } = await asking();
        assert.equal(result.kind, 'answered');
        assert.deepEqual(result.kind === 'answered' && result.refused, asked.includes(first) ? refused : []);
        // A host that has the last word says itself what it takes.
        assert.equal(result.atOnce, asked.includes(first) && mayTryAnother ? 3 : undefined);
      }
});
