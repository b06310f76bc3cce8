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
import { beginLate, chooseBatch } from './parcel.ts';
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
        if (refused.length >= most) round = beginLate(batch, refused.slice(0, most), round);
        else {
          open = open.filter((one) => !batch.includes(one) || isBad(one.address));
          const deferred = [...(round?.deferred ?? []), ...refused];
          round = { alone: [], deferred, ...(round?.late ? { late: round.late } : {}) };
          if (open.every(({ address }) => deferred.includes(address))) round = undefined;
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
