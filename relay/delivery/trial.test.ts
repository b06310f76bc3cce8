/** Which answers of a real hop hold new contents of a Secret back. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { describeFailure, type Failure } from '#crds/failure.ts';
import { makePair, type Pair } from '#test/kit/ca.ts';
import { type Answer, Hop, type Step } from '#test/kit/hop.ts';
import { clientWith, wayTo } from '#test/kit/hopway.ts';
import { freePort } from '#test/kit/ports.ts';
import { hopTo, policyOf } from '#test/kit/relayrig.ts';
import { NO_MATERIALS } from '../task/materials.ts';

const pair = (await makePair('hop.example')) as Pair;
const port = await freePort();
let answers: Partial<Record<Step, Answer>> = {};
const server = await Hop.start({
  port,
  pair,
  offers: ['AUTH PLAIN'],
  answer: ({ step }) => answers[step],
});
after(() => server.down());

const hop = hopTo(port, { credentialsSecret: 'login' });
const materialsWith = (password: string) => ({
  ...NO_MATERIALS,
  secrets: { login: { username: 'me', password } },
});

/** Changes the password. Resolves with what became of the trial. */
async function change(said: Partial<Record<Step, Answer>>, addresses = ['127.0.0.1']): Promise<string> {
  answers = said;
  const policy = policyOf({}, { smartHosts: [hop] });
  const client = clientWith(materialsWith('old'), policy);
  const { promise, resolve } = Promise.withResolvers<string>();
  client.beginTrials({
    findWay: async () => ({ way: wayTo(hop), addresses }),
    onTaken: () => resolve('taken'),
    onRefused: (_, failure: Failure) => resolve(`held back: ${describeFailure(failure)}`),
    onKept: () => undefined,
  });
  client.useMaterials(materialsWith('new'));
  const result = await promise;
  client.close();
  return result.replace(`${port}`, 'PORT');
}

const refuses = (codes: string) =>
  `held back: 4.7.8 127.0.0.1:PORT refuses our login (${codes}): check the Secret with its credentials`;

const CASES: readonly (readonly [string, Partial<Record<Step, Answer>>, string])[] = [
  ['it accepts the login', {}, 'taken'],
  ['it refuses the login', { AUTH: '535 5.7.8 no' }, refuses('535 5.7.8')],
  ['it wants another mechanism', { AUTH: '534 5.7.9 no' }, refuses('534 5.7.9')],
  ['its login is out of order', { AUTH: '454 4.7.0 later' }, 'taken'],
  ['it ends at AUTH', { AUTH: 'drop' }, 'taken'],
  ['it refuses every session', { greeting: '554 5.7.1 no' }, 'taken'],
  ['it is too busy', { greeting: '421 4.3.2 later' }, 'taken'],
  ['it refuses EHLO', { EHLO: '550 no', HELO: '550 no' }, 'taken'],
  ['its handshake breaks', { STARTTLS: 'break' }, 'taken'],
  ['it does not know NOOP', { NOOP: '502 5.5.2 what?' }, 'taken'],
  ['it refuses after the login', { NOOP: '554 5.7.1 not you' }, refuses('554 5.7.1')],
  ['it ends after the login', { NOOP: 'drop' }, 'taken'],
  ['it puts off after the login', { NOOP: '450 4.3.2 later' }, 'taken'],
];

for (const [title, said, expected] of CASES)
  test(title, async () => assert.equal(await change(said), expected));

test('of several addresses the first that answers decides, and none decides nothing', async () => {
  assert.equal(await change({ AUTH: '535 5.7.8 no' }, ['127.0.0.9', '127.0.0.1']), refuses('535 5.7.8'));
  assert.equal(await change({}, ['127.0.0.9']), 'taken');
  assert.equal(await change({}, []), 'taken');
});
