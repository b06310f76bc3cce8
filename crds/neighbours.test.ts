/**
 * The table of test/operator/8-acto.test.ts leaves out no field, and changes each to something good and something bad.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changesOf } from '#test/fixtures/changes.ts';
import { SPECS } from '#test/fixtures/fullspec.ts';
import { document } from '#test/fixtures/manifests.ts';
import { fieldsOf, neighboursOf } from '#test/fixtures/neighbours.ts';
import { NAME_RULE, RULES, TRANSITION_RULES } from './rules.ts';
import { validateMailRelay } from './validate.ts';

const FIELDS = fieldsOf();
const CHANGES = changesOf(FIELDS);

test('the specs that are changed are good', () => {
  for (const spec of Object.values(SPECS))
    assert.deepEqual(validateMailRelay(document(spec)), {
      ...validateMailRelay(document(spec)),
      kind: 'valid',
    });
});

test('every field of the schema has values to be changed to: a new shape needs a line in test/fixtures/neighbours.ts', () => {
  const without = FIELDS.filter((field) => neighboursOf(field, undefined) === undefined);
  assert.deepEqual(
    without.map(({ path }) => path),
    [],
  );
});

test('every field has a change that is taken: one without needs a place in test/fixtures/fullspec.ts', () => {
  const taken = new Set(CHANGES.filter(({ isTaken }) => isTaken).map(({ field }) => field.path));
  // A folder with a mandatory field cannot be empty; that field is changed.
  const free = FIELDS.filter(({ schema }) => schema.type !== 'object' || !schema.required);
  assert.deepEqual(
    free.map(({ path }) => path).filter((path) => !taken.has(path)),
    [],
  );
});

test('every field that is not only a folder of others has a change that is refused', () => {
  const refused = new Set(CHANGES.filter(({ isTaken }) => !isTaken).map(({ field }) => field.path));
  const bare = FIELDS.filter(({ schema }) => schema.type !== 'object' && schema.type !== 'boolean');
  assert.deepEqual(
    bare.map(({ path }) => path).filter((path) => !refused.has(path)),
    [],
  );
});

test('what a rule refuses it refuses with a cure at the end', () => {
  const messages = [...RULES, ...TRANSITION_RULES, NAME_RULE].map(({ message }) => message);
  const cure = /^[^:].*?: (set|remove|use|give|write|choose|correct|raise|add|make) \S/;
  assert.deepEqual(
    messages.filter((message) => !cure.test(message)),
    [],
  );
});
