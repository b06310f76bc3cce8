/**
 * The health that Argo CD shows, by the script that it would run, in a real Lua interpreter: on the test data that lie
 * beside the script in upstream's layout, and on any status against the rules of kstatus; and these rules against the
 * library of Flux itself.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { UNSEEN } from '#crds/status.ts';
import { API_VERSION } from '#crds/wellknown.ts';
import { isPaused } from '#operator/installation.ts';
import { program } from '#test/cluster/programs.ts';
import { relayObject } from '#test/fixtures/world.ts';
import { installProblem } from '#test/kit/debian.ts';
import { type Judgeable, kstatus } from '#test/kit/kstatus.ts';
import fc from '#test/kit/property.ts';
import { problem as withoutGo } from './rendered.ts';

const FOLDER = new URL(
  '../../deploy/argocd/resource_customizations/mailrelay.dev/MailRelay/',
  import.meta.url,
);
const textOf = (path: string) => readFileSync(new URL(path, FOLDER), 'utf8');

/** Argo CD's own interpreter is of this version. */
const LUA = 'lua5.1';
const problem = installProblem(() => answers(), LUA);

interface Health {
  readonly status: string;
  readonly message: string;
}

function answers(): boolean {
  try {
    execFileSync(LUA, ['-v'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** What the script says to each object, from one run of the interpreter. */
function healthOf(objects: readonly unknown[]): Health[] {
  const calls = objects.map((object) => `say(${luaOf(object)})`).join('\n');
  const program = `
local function judge() ${textOf('health.lua')}
end
function say(object)
  obj = object
  local health = judge()
  io.write(health.status, "\\t", health.message, "\\n")
end
${calls}`;
  const lines = execFileSync(LUA, ['-'], { input: program, encoding: 'utf8' }).trimEnd().split('\n');
  return lines.map((line) => {
    const [status = '', message = ''] = line.split('\t');
    return { status, message };
  });
}

/** As Argo CD hands an object over: null and absent are both nil. */
function luaOf(value: unknown): string {
  if (value === null || value === undefined) return 'nil';
  if (Array.isArray(value)) return `{${value.map(luaOf).join(', ')}}`;
  if (typeof value !== 'object') return JSON.stringify(value);
  const fields = Object.entries(value).map(([key, inner]) => `[${JSON.stringify(key)}] = ${luaOf(inner)}`);
  return `{${fields.join(', ')}}`;
}

const { tests } = parse(textOf('health_test.yaml')) as {
  tests: { healthStatus: Health; inputPath: string }[];
};

for (const { healthStatus, inputPath } of tests) {
  test(`${inputPath} is ${healthStatus.status}`, { skip: problem ?? false }, () => {
    assert.deepEqual(healthOf([parse(textOf(inputPath))]), [healthStatus]);
  });
}

test('each file of test data has its line', () => {
  assert.deepEqual(
    tests.map(({ inputPath }) => inputPath).toSorted(),
    readdirSync(new URL('testdata', FOLDER)).map((name) => `testdata/${name}`),
  );
});

const TYPES = ['Ready', 'Reconciling', 'Stalled', 'CertificateReady', 'QueueHealthy'];
const condition = fc.record({
  type: fc.constantFrom(...TYPES),
  status: fc.constantFrom('True', 'False', 'Unknown'),
  reason: fc.constant('Reason'),
  message: fc.constant('Because.'),
});
const relay: fc.Arbitrary<Judgeable> = fc.record({
  metadata: fc.record({ generation: fc.integer({ min: 1, max: 2 }) }),
  status: fc.record({
    observedGeneration: fc.constantFrom(UNSEEN.observedGeneration, 1, 2),
    conditions: fc.option(fc.uniqueArray(condition, { selector: ({ type }) => type }), { nil: undefined }),
  }),
});

/** What the library says to each object, from one run of a program of it. */
async function judgeByFlux(objects: readonly Judgeable[]): Promise<string[]> {
  const path = await program('kstatus', (line) => process.stderr.write(`kstatus: ${line}\n`));
  const typed = objects.map((object) => ({ apiVersion: API_VERSION, kind: 'MailRelay', ...object }));
  const input = typed.map((object) => JSON.stringify(object)).join('\n');
  return execFileSync(path, { input, encoding: 'utf8' }).trimEnd().split('\n');
}

test('whatever the status, the library of Flux judges as the rules of our tests do', {
  skip: withoutGo,
}, async () => {
  const relays = fc.sample(relay, 2_000);
  const deleted = relays.map((one) => ({
    ...one,
    metadata: { ...one.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' },
  }));
  const objects = [...relays, ...deleted.slice(0, 100)];
  const verdicts = await judgeByFlux(objects);
  assert.equal(new Set(verdicts).size, 4);
  for (const [index, one] of objects.entries())
    assert.equal(verdicts[index], kstatus(one), JSON.stringify(one));
});

test('a MailRelay is Suspended by the words by which the operator leaves it alone', {
  skip: problem ?? false,
}, () => {
  const yes = ['true', 'True', 'true ', 'yes', '1', 'until noon'];
  const relays = [...yes, 'false', 'False', ' false\n', 'no', 'No', 'n', 'off', '0', ' ', ''].map((word) => ({
    metadata: { ...relayObject().metadata, annotations: { 'mailrelay.dev/paused': word } },
  }));
  const found = healthOf(relays).map(({ status }) => status === 'Suspended');
  assert.deepEqual(found, relays.map(isPaused));
});

test('whatever the status, it agrees with kstatus; only a missing Ready is not taken for good', {
  skip: problem ?? false,
}, () => {
  const SAME = { InProgress: 'Progressing', Failed: 'Degraded', Current: 'Healthy', Terminating: '' };
  const relays = fc.sample(relay, 2_000);
  const found = healthOf(relays);
  assert.ok(new Set(found.map(({ status }) => status)).size === 3);
  for (const [index, one] of relays.entries()) {
    const hasReady = one.status?.conditions?.some(({ type }) => type === 'Ready') ?? false;
    const verdict = kstatus(one);
    const expected = verdict === 'Current' && !hasReady ? 'Progressing' : SAME[verdict];
    assert.equal(found[index]?.status, expected, JSON.stringify(one));
  }
});
