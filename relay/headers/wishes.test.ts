import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compiledOf, policyOf } from '#test/kit/relayrig.ts';
import { listOnce } from './compile.ts';
import { sendAllTo } from './copies.ts';
import type { Addressee } from './envelope.ts';

const NEVER = ['NEVER'];
/** The wishes that are left of aliases of one address. */
function joined(...wishes: (readonly string[] | undefined)[]) {
  const aliases = wishes.map(
    (notify, n): Addressee => ({
      address: n === 0 ? 'Ann@y.example' : 'ann@y.example',
      given: [`${n}@x.example`],
      orcpt: `rfc822;${n}@x.example`,
      ...(notify ? { notify } : {}),
    }),
  );
  const [one, ...more] = listOnce(aliases);
  assert.deepEqual([one?.address, one?.given?.length, more], ['Ann@y.example', wishes.length, []]);
  const [box] = sendAllTo({ from: 'a@x.example', to: aliases }, 'box@s.example').to;
  assert.deepEqual(box?.notify, one?.notify, 'one box for all');
  return [one?.notify, one?.orcpt];
}

test('a sender who wants to hear of one alias hears of the address that several become', () => {
  assert.deepEqual(joined(NEVER, undefined), [undefined, 'rfc822;1@x.example']);
  assert.deepEqual(joined(NEVER, NEVER, ['FAILURE']), [['FAILURE'], 'rfc822;2@x.example']);
  assert.deepEqual(joined(undefined, NEVER), [undefined, 'rfc822;0@x.example']);
  assert.deepEqual(joined(['SUCCESS'], ['FAILURE', 'SUCCESS']), [
    ['SUCCESS', 'FAILURE'],
    'rfc822;0@x.example',
  ]);
  assert.deepEqual(joined(['SUCCESS'], undefined), [['SUCCESS', 'FAILURE', 'DELAY'], 'rfc822;0@x.example']);
});

test('a sender who wants to hear of none of them hears nothing', () => {
  assert.deepEqual(joined(NEVER, NEVER), [NEVER, 'rfc822;0@x.example']);
  assert.deepEqual(joined(undefined, undefined), [undefined, 'rfc822;0@x.example']);
});

test('also without a map two names of the postmaster are one recipient, with the wishes for both', () => {
  const { changeRecipient, changeAll } = compiledOf(policyOf({ acceptDomains: ['y.example'] }), false);
  const moment = { sender: 'a@x.example', at: 0 };
  const names: readonly Addressee[] = [
    { address: 'postmaster', notify: NEVER },
    { address: 'Postmaster@y.example', notify: ['FAILURE'], orcpt: 'rfc822;p@y.example' },
  ];
  const to = names.flatMap((one) => {
    const changed = changeRecipient(one, moment);
    return changed.kind === 'changed' ? changed.to : [];
  });
  const changed = changeAll({ from: moment.sender, to }, moment);
  assert.deepEqual(changed.kind === 'changed' && changed.to.to, [
    { address: 'postmaster@y.example', notify: ['FAILURE'], orcpt: 'rfc822;p@y.example' },
  ]);
});
