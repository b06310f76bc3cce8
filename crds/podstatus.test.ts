import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { podReport, relayObject } from '#test/fixtures/world.ts';
import fc from '#test/kit/property.ts';
import { fitter } from './fit.ts';
import { parsePodStatus, podStatus } from './podstatus.ts';
import { fitStatus, mailRelayStatus } from './status.ts';

const REPORT = podReport(relayObject());

interface Node {
  readonly type?: string;
  readonly enum?: unknown;
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly items?: Node;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly anyOf?: readonly Node[];
}

/** Paths of strings and lists without a bound. */
function unbounded(node: Node, path = ''): string[] {
  const isOpen =
    (node.type === 'string' && node.maxLength === undefined && node.enum === undefined) ||
    (node.type === 'array' && node.maxItems === undefined);
  return [
    ...(isOpen ? [path] : []),
    ...Object.entries(node.properties ?? {}).flatMap(([name, field]) => unbounded(field, `${path}.${name}`)),
    ...(node.items ? unbounded(node.items, `${path}[]`) : []),
    ...(node.anyOf ?? []).flatMap((one) => unbounded(one, path)),
  ];
}

test('every string and every list of a report has a bound', () => {
  assert.deepEqual(unbounded(z.toJSONSchema(podStatus, { io: 'input' }) as Node), []);
});

test('a report that is longer than it can honestly be is cut, and read', () => {
  const long = 'x'.repeat(100_000);
  const certificate = {
    ...(REPORT.certificate as NonNullable<typeof REPORT.certificate>),
    serial: 'A'.repeat(130),
    names: Array.from({ length: 10_000 }, () => `${'a'.repeat(250)}.com`),
  };
  const queue = { ...REPORT.queue, depth: Number.MAX_SAFE_INTEGER, held: -5 };
  const read = parsePodStatus(
    JSON.stringify({ ...REPORT, certificate, queue, missing: Array(1_000).fill(long), version: long }),
  );
  assert.deepEqual(
    [read?.certificate?.serial.length, read?.certificate?.names.length, read?.certificate?.names[0]?.length],
    [128, 128, 253],
  );
  assert.deepEqual([read?.queue.depth, read?.queue.held], [2_147_483_647, 0]);
  assert.deepEqual([read?.missing.length, read?.missing[0]?.length, read?.version.length], [64, 1024, 64]);
});

test('fields that the schema does not know are not looked at, at any depth', () => {
  // A stranger can send a hundred thousand, and each look at them costs.
  const strange = {
    get field(): never {
      throw new Error('looked at');
    },
  };
  const queue = Object.defineProperties({ ...REPORT.queue }, Object.getOwnPropertyDescriptors(strange));
  const report = Object.defineProperties({ ...REPORT, queue }, Object.getOwnPropertyDescriptors(strange));
  assert.deepEqual(fitter(podStatus)(report), REPORT);
});

test('what the API server would refuse as a time is no report', () => {
  for (const notAfter of ['', 'tomorrow', '2026-02-30T00:00:00Z', '2026-01-01']) {
    const text = JSON.stringify({ ...REPORT, certificate: { ...REPORT.certificate, notAfter } });
    assert.equal(parsePodStatus(text), undefined, notAfter);
  }
});

test('whatever its texts are, a status that was cut is one that the API server takes, and the same when cut again', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40_000 }), fc.integer(), (text, number) => {
      const condition = { type: 'Ready', status: 'True' as const, reason: 'Serving' };
      const status = fitStatus({
        conditions: [{ ...condition, message: text, lastTransitionTime: '2026-01-01T00:00:00Z' }],
        starttls: text,
        notInForce: Array(100).fill(text),
        readyReplicas: number,
        certificate: { serial: text, names: [text] },
      });
      assert.ok(mailRelayStatus.safeParse(status).success);
      assert.deepEqual(fitStatus(JSON.parse(JSON.stringify(status))), status);
    }),
  );
});
