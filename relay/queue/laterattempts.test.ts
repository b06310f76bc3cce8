/**
 * What a restart, another policy and new materials change about later attempts, with a real spool and a courier whose
 * answers come from each test.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { isOfMaterials, makeFailure } from '#crds/failure.ts';
import { answers, greylisted, NOBODY, QueueRig, queued } from '#test/kit/queuerig.ts';
import { eventually } from '#test/kit/wait.ts';

const HOUR = 3_600_000;
let rig: QueueRig;

beforeEach(() => {
  rig = new QueueRig();
});
afterEach(() => rig.remove());

test('a restart begins no back-off anew: what was put off waits as long as its age says', async () => {
  const received = rig.now;
  let tries = 0;
  const answer = (_: unknown, parcel: Parameters<typeof answers>[0]) => {
    tries += 1;
    return answers(parcel, (address) => (address.startsWith('later') ? greylisted : undefined));
  };
  const id = await rig.enter('', ['later@hop.example', 'a@hop.example']);
  await rig.begin(answer).start();
  const due = () => rig.manager.findProspect(id, '', queued('later@hop.example')).due ?? 0;
  await eventually(() => due() > rig.now);
  for (const [age, pause] of [
    [0, 1],
    [1, 2],
    [3, 5],
    [60, 30],
  ] as const) {
    if (age > 0) {
      rig.now = received + age * 60_000;
      const before = tries;
      rig.manager.hurry(() => true);
      await eventually(() => tries > before && due() > rig.now);
    }
    assert.equal(due(), rig.now + pause * 60_000);
    await rig.manager.drain(0);
    const before = tries;
    const expected = due();
    rig.now += 10_000;
    await rig.begin(answer).start();
    assert.deepEqual([due(), tries], [expected, before]);
  }
});

test('a restart begins no back-off anew, however many messages wait for one destination', async () => {
  let tries = 0;
  const answer = (_: unknown, parcel: Parameters<typeof answers>[0]) => {
    tries += 1;
    return answers(parcel, () => greylisted);
  };
  const count = 20;
  for (let index = 0; index < count; index++) await rig.enter('', [`a${index}@hop.example`]);
  await rig.begin(answer).start();
  const isIdle = () => !rig.manager.ids().some((id) => rig.manager.isDelivering(id));
  await eventually(() => tries === count && isIdle());
  await rig.manager.drain(0);
  rig.now += 10_000;
  await rig.begin(answer).start();
  const fresh = await rig.enter('', ['fresh@hop.example']);
  rig.manager.add(fresh);
  await eventually(() => tries > count && isIdle());
  assert.equal(tries, count + 1);
});

test('a new policy that sends mail to other hosts tries it at once', async () => {
  let tries = 0;
  const answer = (_: unknown, parcel: Parameters<typeof answers>[0]) => {
    tries += 1;
    return answers(parcel, () => greylisted);
  };
  const id = await rig.enter('', ['later@hop.example']);
  await rig.begin(answer).start();
  await eventually(() => (rig.manager.findProspect(id, '', queued('later@hop.example')).due ?? 0) > rig.now);
  await rig.manager.drain(0);
  rig.routes = 'other ';
  await rig.begin(answer).start();
  await eventually(() => tries === 2);
});

test('after an outage of the relay, what is overdue or was never tried goes at once', async () => {
  let down = true;
  const answer = (_: unknown, parcel: Parameters<typeof answers>[0]) =>
    answers(parcel, () => (down ? greylisted : undefined));
  await rig.enter('', ['a@hop.example']);
  await rig.begin(answer).start();
  await eventually(() => rig.manager.figures.deferrals.length === 1);
  await rig.manager.drain(0);
  await rig.enter('', ['b@hop.example']);
  rig.now += 2 * HOUR;
  down = false;
  await rig.begin(answer).start();
  await eventually(() => rig.manager.figures.depth === 0);
});

test('new materials hurry only what waits for the destinations that they concern', async () => {
  const tries: Record<string, number> = {};
  const manager = rig.begin((destination, parcel) => {
    tries[destination.key] = (tries[destination.key] ?? 0) + 1;
    return answers(parcel, () => greylisted);
  });
  await rig.enter('', ['a@one.example', 'a@two.example']);
  await manager.start();
  await eventually(() => tries['one.example'] === 1 && tries['two.example'] === 1);
  await eventually(() => manager.figures.deferrals.length === 2);
  manager.materialsChanged(({ key }) => key === 'one.example', false);
  await eventually(() => tries['one.example'] === 2);
  manager.materialsChanged(() => false, true);
  assert.deepEqual(tries, { 'one.example': 2, 'two.example': 1 });
});

test('new materials hurry a refused login, and not what a host put off or did not answer', async () => {
  const refused = makeFailure({ cause: 'login', status: '4.7.8', text: 'refuses our login' });
  const unreachable = { kind: 'unreachable', failure: refused, hadSession: false } as const;
  const tries: Record<string, number> = {};
  const manager = rig.begin(({ key }, parcel) => {
    tries[key] = (tries[key] ?? 0) + 1;
    if (key === 'later.example') return answers(parcel, () => greylisted);
    return key === 'dead.example' ? NOBODY : unreachable;
  });
  await rig.enter('', ['a@login.example', 'a@later.example', 'a@dead.example']);
  await manager.start();
  await eventually(() => manager.figures.deferrals.length === 2);
  // Came during the pause, so it was not tried itself.
  manager.add(await rig.enter('', ['b@dead.example']));
  manager.materialsChanged((_, failure) => failure === undefined || isOfMaterials(failure), false);
  await eventually(() => tries['login.example'] === 2);
  assert.deepEqual(tries, { 'login.example': 2, 'later.example': 1, 'dead.example': 1 });
});
