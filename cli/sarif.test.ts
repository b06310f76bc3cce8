/**
 * The SARIF log against the standard (OASIS SARIF 2.1.0, with its sections). Each object has only properties that the standard
 * knows, because a reader may refuse others. No package that is looked after has the schema.
 */
import assert from 'node:assert/strict';
import { relative, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { z } from 'zod';
import fc from '#test/kit/property.ts';
import type { LintFault } from './lintfaults.ts';
import { makeSarif } from './sarif.ts';

/** 3.11: a message has a text or the id of one. */
const message = z.strictObject({ text: z.string().min(1) });
/** 3.49: of a rule only its id is required. */
const rule = z.strictObject({ id: z.string().min(1), shortDescription: message });
/** 3.30: lines and columns begin with 1. */
const region = z.strictObject({ startLine: z.int().min(1), startColumn: z.int().min(1) });
/** 3.28, 3.29, 3.33 */
const location = z.strictObject({
  physicalLocation: z.strictObject({
    artifactLocation: z.strictObject({ uri: z.string().regex(/^[\w\-.~:/?#[\]@!$&'()*+,;=%]+$/) }),
    region,
  }),
  logicalLocations: z.array(z.strictObject({ fullyQualifiedName: z.string().min(1) })).optional(),
});
/** 3.27 */
const result = z.strictObject({
  ruleId: z.string(),
  level: z.enum(['none', 'note', 'warning', 'error']),
  message,
  locations: z.array(location).min(1),
});
/** 3.14, 3.18, 3.19 */
const run = z.strictObject({
  tool: z.strictObject({
    driver: z.strictObject({ name: z.string().min(1), version: z.string(), rules: z.array(rule) }),
  }),
  columnKind: z.enum(['utf16CodeUnits', 'unicodeCodePoints']),
  results: z.array(result),
});
/** 3.13 */
const sarifLog = z.strictObject({ $schema: z.url(), version: z.literal('2.1.0'), runs: z.array(run).min(1) });

const KINDS: readonly LintFault['kind'][] = ['yaml', 'missing', 'value', 'field', 'rule', 'warning'];
const fault = fc.record({
  file: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }).map((name) => name.replaceAll('\0', '')),
  line: fc.integer({ min: 1 }),
  column: fc.integer({ min: 1 }),
  kind: fc.constantFrom(...KINDS),
  field: fc.option(fc.string({ minLength: 1 })),
  message: fc.string({ minLength: 1 }),
});

test('every log is as the standard wants it, and its results have rules', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fault, { maxLength: 5 }), async (faults) => {
      const log = sarifLog.parse(
        JSON.parse(JSON.stringify(await makeSarif([{ file: 'a', name: null, faults }]))),
      );
      const [{ tool, results } = assert.fail()] = log.runs;
      const ids = tool.driver.rules.map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length);
      assert.deepEqual(
        results.map(({ ruleId }) => ids.includes(ruleId)),
        faults.map(() => true),
      );
      assert.deepEqual(
        results.map(({ level }) => level),
        faults.map(({ kind }) => (kind === 'warning' ? 'warning' : 'error')),
      );
    }),
  );
});

test('a fault of the working folder itself has a place', async () => {
  const one = {
    file: '.',
    line: 1,
    column: 1,
    kind: 'missing',
    field: null,
    message: 'no MailRelay',
  } as const;
  const { runs } = await makeSarif([{ file: '.', name: null, faults: [one] }]);
  assert.equal(runs[0]?.results[0]?.locations[0]?.physicalLocation.artifactLocation.uri, './');
});

test('the uri of a result leads back to its file, whatever its name is', async () => {
  const here = `${pathToFileURL(resolve('.')).href}/`;
  await fc.assert(
    fc.asyncProperty(fault, async (one) => {
      const [{ results } = assert.fail()] = (await makeSarif([{ file: 'a', name: null, faults: [one] }]))
        .runs;
      const uri = results[0]?.locations[0]?.physicalLocation.artifactLocation.uri ?? assert.fail();
      assert.equal(relative(fileURLToPath(new URL(uri, here)), resolve(one.file)), '');
    }),
  );
});
