import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { addChosen, compileRemoval } from './chosenfields.ts';

test('names and beginnings of names go, in any case', () => {
  const removes = compileRemoval(['X-Mailer', 'x-Internal-*', 'DATE']);
  for (const name of ['x-mailer', 'x-internal-', 'x-internal-host', 'date']) assert.ok(removes(name), name);
  for (const name of ['x-mailers', 'x-mail', 'x-internal', 'dates', 'xx-internal-a'])
    assert.ok(!removes(name), name);
});

test('a field without which nobody can read a message stays, whatever the pattern', () => {
  const pattern = fc.stringMatching(/^[A-Za-z-]{0,12}\*$/);
  fc.assert(
    fc.property(pattern, (text) => {
      const removes = compileRemoval([text, 'From', 'Content-Type']);
      for (const name of ['from', 'mime-version', 'content-type', 'content-transfer-encoding'])
        assert.ok(!removes(name), `${text} ${name}`);
    }),
  );
});

test('a field is added where there is none of its name', () => {
  const fields = [
    { name: 'X-Environment', value: 'staging' },
    { name: 'List-Id', value: '<a.example>' },
  ];
  assert.equal(
    addChosen(fields, (name) => name === 'list-id'),
    'X-Environment: staging\r\n',
  );
});
