/**
 * Next hops end a session after so many refusals (Postfix: smtpd_hard_error_limit). The recipients that no attempt has reached
 * go first at the next attempt, so each has its turn.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import fc from '#test/kit/property.ts';
import { answers, NOBODY, QueueRig } from '#test/kit/queuerig.ts';
import { eventually } from '#test/kit/wait.ts';
import type { Recipient } from '../spool/record.ts';
import { beginRound, chooseBatch, moveBack } from './round.ts';
import type { Round } from './waiting.ts';

const rigs: QueueRig[] = [];
after(async () => {
  for (const rig of rigs) await rig.remove();
});

const MOST = 20;
const later = makeFailure({ cause: 'reply', status: '4.2.1', text: '450 4.2.1 later' });
const tooMany = makeFailure({ cause: 'reply', status: '4.4.2', text: '421 4.7.0 too many errors' });
const isBad = (address: string) => address.startsWith('bad');

/** Refuses for now whom it does not know, and ends a session with the twentieth refusal. */
function refuse(to: readonly string[]) {
  const bad = to.filter(isBad);
  return bad.length >= MOST ? bad.slice(0, MOST) : undefined;
}

for (const [name, to] of [
  ['behind', [...Array.from({ length: 45 }, (_, at) => `bad${at}@a.example`), 'good@a.example']],
  ['before', ['good@a.example', ...Array.from({ length: 45 }, (_, at) => `bad${at}@a.example`)]],
] as const)
  test(`a good recipient ${name} many refused ones gets the message`, async () => {
    const rig = new QueueRig();
    rigs.push(rig);
    const tries: string[][] = [];
    const manager = rig.begin((_, parcel) => {
      tries.push([...parcel.to]);
      const refused = refuse(parcel.to);
      if (refused) return { ...NOBODY, failure: tooMany, hadSession: true, refused };
      return answers(parcel, (address) => (isBad(address) ? later : undefined));
    });
    await rig.enter('s@b.example', to);
    await manager.start();
    const isDelivered = () =>
      rig.events.some(({ event, fields }) => event === 'delivered' && fields['to'] === 'good@a.example');
    for (let attempt = 1; attempt < 6 && !isDelivered(); attempt += 1) {
      await eventually(() => tries.length >= attempt);
      await eventually(() => rig.count('deferred') >= attempt || isDelivered());
      rig.now += 60 * 60_000;
      manager.hurry(() => true);
    }
    await eventually(isDelivered);
    assert.ok(tries.length <= 6, String(tries.length));
  });

/** Whether all of these recipients are delivered within so many attempts, one an hour. */
async function isDelivered(
  to: readonly string[],
  attempts: number,
  answer: (to: readonly string[], now: number) => { refused?: string[]; deferred?: readonly string[] },
): Promise<boolean> {
  const rig = new QueueRig();
  rigs.push(rig);
  const manager = rig.begin((_, parcel) => {
    const { refused, deferred } = answer(parcel.to, rig.now);
    if (refused && !deferred) return { ...NOBODY, failure: tooMany, hadSession: true, refused };
    const all = answers(parcel, (address) => (deferred?.includes(address) ? later : undefined));
    return refused ? { ...all, refused } : all;
  });
  const id = await rig.enter('s@b.example', to);
  await manager.start();
  const left = () => {
    const read = rig.spool.read(id);
    return read.kind === 'message' ? read.record.recipients.map(({ address }) => address) : [];
  };
  const isDone = () => !left().some((address) => !isBad(address));
  for (let attempt = 1; attempt < attempts && !isDone(); attempt += 1) {
    await eventually(() => !manager.isDelivering(id));
    rig.now += 60 * 60_000;
    manager.hurry(() => true);
  }
  await eventually(() => !manager.isDelivering(id));
  return isDone();
}

for (const [recipients, attempts] of [
  [100, 6],
  [250, 16],
] as const)
  test(`greylisting that forgets a first try after six hours takes ${recipients} recipients`, async () => {
    const seen = new Map<string, number>();
    const answer = (to: readonly string[], now: number) => {
      const known = (address: string) => {
        const ago = now - (seen.get(address) ?? Number.NEGATIVE_INFINITY);
        return ago > 0 && ago < 6 * 60 * 60_000;
      };
      const refused = to.filter((address) => !known(address)).slice(0, MOST);
      for (const address of refused) seen.set(address, now);
      return refused.length < MOST ? { deferred: refused } : { refused };
    };
    const to = Array.from({ length: recipients }, (_, at) => `r${at}@a.example`);
    assert.equal(await isDelivered(to, attempts, answer), true);
  });

test('a good recipient behind many refused ones gets the message, also where a second host refuses everybody for now', async () => {
  const to = [...Array.from({ length: 45 }, (_, at) => `bad${at}@a.example`), 'good@a.example'];
  const answer = (batch: readonly string[]) => {
    const refused = refuse(batch);
    return refused ? { refused, deferred: batch } : { deferred: batch.filter(isBad) };
  };
  assert.equal(await isDelivered(to, 4, answer), true);
});

test('a good recipient behind several hundred refused ones is reached too', async () => {
  const to = [...Array.from({ length: 250 }, (_, at) => `bad${at}@a.example`), 'good@a.example'];
  const answer = (batch: readonly string[]) => {
    const refused = refuse(batch);
    return refused ? { refused } : { deferred: batch.filter(isBad) };
  };
  assert.equal(await isDelivered(to, 30, answer), true);
});

/** A list that counts how often it is searched. */
class Searched extends Array<string> {
  static count = 0;

  override includes(...[address]: [string]): boolean {
    Searched.count += 1;
    return super.includes(address);
  }
}

test('no list is searched for each recipient', () => {
  const open = Array.from({ length: 1000 }, (_, at): Recipient => ({ address: `r${at}`, state: 'queued' }));
  const list = (from: number, to: number) =>
    Searched.from(open.slice(from, to).map(({ address }) => address)) as Searched;
  const round: Round = {
    deferred: list(0, 50),
    alone: list(50, 60),
    late: list(60, 500),
    last: list(500, 950),
  };
  const { batch } = chooseBatch(open, round);
  moveBack(batch, { kind: 'unreachable', refused: list(60, 80) }, round);
  assert.equal(Searched.count, 0);
});

test('whoever is in the way, each good recipient is reached in few attempts, and each refused one is asked again', () => {
  const drawn = fc.uniqueArray(fc.tuple(fc.boolean(), fc.nat(500)), {
    minLength: 1,
    maxLength: 300,
    selector: ([, at]) => at,
  });
  fc.assert(
    fc.property(drawn, fc.integer({ min: 1, max: 30 }), (people, most) => {
      let open: Recipient[] = people.map(([bad, at]) => ({
        address: `${bad ? 'bad' : 'good'}${at}`,
        state: 'queued',
      }));
      const asked = new Set<string>();
      let round: Round | undefined;
      const bad = open.filter(({ address }) => isBad(address)).length;
      const attempts = Math.ceil(bad / most) + Math.ceil(open.length / 100) + 2;
      for (let attempt = 0; attempt < attempts * 2; attempt += 1) {
        const { batch } = chooseBatch(open, round);
        const refused = batch.map(({ address }) => address).filter(isBad);
        for (const address of refused.slice(0, most)) asked.add(address);
        if (refused.length >= most) {
          const ended = { kind: 'unreachable', refused: refused.slice(0, most) } as const;
          round = beginRound(moveBack(batch, ended, round));
        } else {
          open = open.filter((one) => !batch.includes(one) || isBad(one.address));
          const deferred = [...(round?.deferred ?? []), ...refused];
          round = { alone: [], deferred, ...moveBack(batch, { kind: 'answered' }, round) };
          if (open.every(({ address }) => deferred.includes(address))) round = beginRound(round);
        }
      }
      assert.deepEqual(
        open.filter(({ address }) => !isBad(address)),
        [],
      );
      assert.equal(asked.size, bad);
    }),
  );
});
