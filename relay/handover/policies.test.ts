/** The MTA-STS policies of a pod in evacuation go to each sibling before the first entry. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  ends,
  enter,
  openPod,
  openSpool,
  pair,
  type ReceivingPod,
  startGiver,
} from '#test/kit/handoverrig.ts';
import { eventually } from '#test/kit/wait.ts';
import { PolicyCache } from '../mtasts/cache.ts';
import { CACHE_FILE, readForSibling } from '../mtasts/handover.ts';
import { monotonic } from '../task/clock.ts';
import { PolicyGiver } from './policygiver.ts';
import { type Offered, Sibling } from './sibling.ts';

/** The text that a pod in evacuation gives: one policy of a domain. */
function policiesOf(domain: string): string {
  const stateDir = mkdtempSync(join(tmpdir(), 'mailrelay-policies-'));
  ends.push(() => rmSync(stateDir, { recursive: true }));
  const now = Date.now();
  const policy = { mode: 'enforce' as const, mxPatterns: ['mx.example'], maxAgeSeconds: 86_400 };
  const text = JSON.stringify({ ...policy, id: '1', fetchedAt: now, usedAt: now });
  writeFileSync(join(stateDir, CACHE_FILE), `{"format":1,"policies":{"${domain}":${text}}}`);
  return readForSibling(stateDir, now, assert.fail) ?? '';
}

/** What the router of the pod finds. */
function policyAt({ spool }: ReceivingPod, domain: string) {
  const cache = new PolicyCache({
    path: join(spool.stateDir, CACHE_FILE),
    onError: assert.fail,
    isReadOnly: true,
  });
  cache.takeIn(Date.now());
  return cache.get(domain, Date.now())?.mode;
}

test('each sibling gets the MTA-STS policies before the first entry that goes there, and once', async () => {
  const pods = await Promise.all([openPod(), openPod()]);
  const found: (string | undefined)[] = [];
  for (const pod of pods) {
    const { push } = pod.entered;
    pod.entered.push = (...ids) => {
      found.push(policyAt(pod, 'kept.example'));
      return push.apply(pod.entered, ids);
    };
  }
  const spool = openSpool();
  for (let index = 0; index < 30; index += 1) await enter(spool, Buffer.from('x'));
  startGiver(
    spool,
    pods.map(({ port }) => port),
    pair,
    policiesOf('kept.example'),
  );
  await eventually(() => found.length === 30);
  assert.deepEqual(new Set(found), new Set(['enforce']));
  for (const { spool: kept } of pods)
    assert.equal(readdirSync(join(kept.stateDir, `${CACHE_FILE}.handed-over`)).length, 1);
});

test('no entry goes to a sibling that cannot keep the policies', async () => {
  const stays = await openPod();
  const full = await openPod();
  // The folder cannot be made.
  writeFileSync(join(full.spool.stateDir, `${CACHE_FILE}.handed-over`), '');
  const spool = openSpool();
  for (let index = 0; index < 20; index += 1) await enter(spool, Buffer.from('x'));
  startGiver(spool, [stays.port, full.port], pair, policiesOf('kept.example'));
  await eventually(() => stays.entered.length === 20);
  assert.equal(full.entered.length, 0);
});

test('what is no text of policies is refused, and the connection goes on', async () => {
  const pod = await openPod();
  const sibling = new Sibling({ host: '127.0.0.1', port: pod.port }, pair, monotonic);
  ends.push(() => sibling.close());
  assert.equal((await sibling.offerPolicies('')).kind, 'refused');
  assert.equal((await sibling.offerPolicies('{')).kind, 'away');
  assert.equal((await sibling.offerPolicies('x'.repeat(9 * 2 ** 20))).kind, 'refused');
  assert.equal((await sibling.offerPolicies(policiesOf('good.example'))).kind, 'taken');
  assert.equal(policyAt(pod, 'good.example'), 'enforce');
});

test('a sibling that does not know policies gets the entries without them, and one that is away gets none', async () => {
  const answers: Offered[] = [
    { kind: 'away', reason: 'no route' },
    { kind: 'refused', reason: 'not a queue entry' },
  ];
  const asked: string[] = [];
  const sibling = {
    address: { host: 'old', port: 1 },
    offerPolicies: async (text: string) => {
      asked.push(text);
      return answers.shift();
    },
  } as unknown as Sibling;
  const told: string[] = [];
  const giver = new PolicyGiver(
    () => 'policies',
    (event) => void told.push(event),
  );
  assert.match((await giver.giveTo(sibling)) ?? '', /^its MTA-STS policies come first: no route$/);
  assert.deepEqual(await Promise.all([giver.giveTo(sibling), giver.giveTo(sibling)]), [undefined, undefined]);
  assert.equal(await giver.giveTo(sibling), undefined);
  assert.deepEqual([asked.length, told], [2, ['sts_policies_not_taken']]);
});
