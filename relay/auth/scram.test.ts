import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashPassword } from '#crds/passwordhash.ts';
import { parsePasswordHash } from '#crds/storedpassword.ts';
import fc from '#test/kit/property.ts';
import { scramFirst } from './scram.ts';
import { Users } from './users.ts';

/** The example of RFC 7677 section 3. */
const RFC = {
  first: 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
  nonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
  challenge: 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  final:
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  proof: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
};
const users = new Users({
  user: await hashPassword('pencil', 4096, Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')),
});

function begin(first = RFC.first) {
  const begun = scramFirst(first, RFC.nonce, (name) => users.find(name));
  assert.ok(begun.kind === 'challenge', first);
  return begun;
}

test('the example of RFC 7677', () => {
  const { user, text, finish } = begin();
  assert.equal(user, 'user');
  assert.equal(text, RFC.challenge);
  assert.deepEqual(finish(RFC.final), { kind: 'verified', text: RFC.proof });
});

test('a wrong proof, nonce or binding is refused, and so is a final message that cannot be read', () => {
  const { finish } = begin();
  for (const [what, by] of [
    ['p=dHzb', 'p=eHzb'],
    ['VQ=', 'VA='],
    [',p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=', ',p=AA=='],
    [',r=rOpr', ',r=sOpr'],
    ['k0,p', 'k1,p'],
    ['c=biws', 'c=eSws'],
    ['c=biws', 'c='],
    [',p=', ',q='],
  ] as const) {
    assert.deepEqual(finish(RFC.final.replace(what, by)), { kind: 'refused' }, `${what} -> ${by}`);
  }
});

test('a user that does not exist is challenged like one that does, every time alike, and refused at the end', () => {
  const [one, again] = [begin('n,,n=nobody,r=abc'), begin('n,,n=nobody,r=abc')];
  assert.match(one.text, /^r=abc.*,s=[A-Za-z0-9+/]{22}==,i=4096$/);
  assert.equal(again.text, one.text);
  assert.deepEqual(one.finish(RFC.final), { kind: 'refused' });
});

test('names are unescaped; what is no first message is unreadable', () => {
  assert.equal(begin('y,,n=a=2Cb=3Dc,r=abc').user, 'a,b=c');
  assert.equal(begin('n,a=a=2Cb,n=a=2Cb,r=abc').user, 'a,b');
  for (const first of [
    '',
    'n,,n=,r=abc',
    'n,,n=a=2cb,r=abc',
    'p=tls-unique,,n=user,r=abc',
    'n,,n=user',
    'n,,n=user,r=a\0b',
  ])
    assert.equal(scramFirst(first, 'x', (name) => users.find(name)).kind, 'unreadable', first);
});

test('no user acts as another one', () => {
  for (const [first, user] of [
    ['n,a=root,n=user,r=abc', 'user'],
    ['y,a=User,n=user,r=abc', 'user'],
    ['n,a=a=2cb,n=user,r=abc', 'user'],
  ] as const)
    assert.deepEqual(
      scramFirst(first, 'x', (name) => users.find(name)),
      { kind: 'for another', user },
      first,
    );
});

test('whatever a client says, it is an answer', () => {
  fc.assert(
    fc.property(fc.string(), fc.string({ unit: 'binary' }), (first, final) => {
      scramFirst(first, 'x', (name) => users.find(name));
      assert.equal(begin().finish(final).kind, 'refused');
    }),
  );
});

test('a stored password that cannot be read is a fault by name, and nobody logs in by it', () => {
  const { faults } = new Users({
    plain: 'pencil',
    weak: 'SCRAM-SHA-256$1:AAAA$AAAA:AAAA',
    user: users.find('user').exists ? RFC.proof : '',
  });
  assert.deepEqual(faults, ['plain', 'weak', 'user']);
  assert.equal(
    parsePasswordHash(`SCRAM-SHA-256$4096:c2FsdHNhbHQ=$${'A'.repeat(43)}=:${'A'.repeat(43)}=\n`)?.iterations,
    4096,
  );
});

test('a decoy is the same in every process that has the users, and stays when others come and go', async () => {
  const files = { app: await hashPassword('secret', 4096), zoe: await hashPassword('secret', 4096) };
  const saltOf = (users: Users, name: string) => users.find(name).hash.salt.toString('hex');
  const [one, other] = [
    new Users(files),
    new Users({ zoe: await hashPassword('new', 4096), app: files.app }),
  ];
  assert.equal(saltOf(one, 'nobody'), saltOf(other, 'nobody'));
  assert.notEqual(saltOf(one, 'nobody'), saltOf(one, 'nobody2'));
  assert.equal(one.find('nobody').hash.salt.length, one.find('app').hash.salt.length);
});
