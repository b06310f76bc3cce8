import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { before, beforeEach, test } from 'node:test';
import { dkimSign } from 'mailauth';
import { traceOf } from '#test/kit/relayrig.ts';
import { HeaderEditor, joinSteps } from '../headers/header.ts';
import type { ArcFacts } from '../spool/record.ts';
import { Counters } from '../task/counts.ts';
import { Verifier } from './verifier.ts';

const ID = 'mx.example.com';
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const KEY = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
const RECORDS: Readonly<Record<string, readonly string[]>> = {
  'TXT sender.example': ['v=spf1 ip4:192.0.2.7 -all'],
  'TXT s1._domainkey.sender.example': [`v=DKIM1; k=rsa; p=${KEY}`],
  'TXT _dmarc.sender.example': ['v=DMARC1; p=reject'],
};
const MESSAGE = 'From: joe@sender.example\r\nTo: ann@example.com\r\nSubject: hello\r\n\r\nbody\r\n';

let signed: string;
let broken: boolean;
let logged: unknown[];
let counters: Counters;
/** What a seal of the last message may say. */
let facts: ArcFacts | undefined;

before(async () => {
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const key = { signingDomain: 'sender.example', selector: 's1', privateKey: pem };
  // The library reads the list, and its types want the fields.
  const { signatures } = await dkimSign(MESSAGE, { ...key, signatureData: [key] });
  signed = signatures + MESSAGE;
});
beforeEach(() => {
  broken = false;
  logged = [];
  counters = new Counters();
});

async function askDns(name: string, type: string) {
  const records = RECORDS[`${type} ${name}`];
  if (broken) throw Object.assign(new Error('no answer'), { code: 'ESERVFAIL' });
  if (!records) throw Object.assign(new Error('there is none'), { code: 'ENOTFOUND' });
  return records.map((record) => [record]);
}

/** The message after the verification, cut into pieces of this size. */
async function verify(
  message: string,
  client = '192.0.2.7',
  size = 1_000,
  { helo = 'client.example', sender = 'joe@sender.example' } = {},
): Promise<string> {
  const verifier = new Verifier({
    id: ID,
    seals: true,
    askDns,
    log: (event, facts) => logged.push([event, facts]),
    counters,
  });
  const bytes = Buffer.from(message, 'latin1');
  async function* read() {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }
  const { step, arc } = await verifier.verify({
    trace: traceOf({ client, helo }),
    sender,
    read,
  });
  facts = arc;
  const steps = joinSteps([step]);
  const editor = new HeaderEditor(steps, traceOf());
  const parts: Buffer[] = [];
  for await (const piece of read()) parts.push(...editor.push(piece));
  const front = steps.front.map((render) => render(traceOf())).join('');
  return front + Buffer.concat([...parts, ...editor.end()]).toString('latin1');
}

const readResults = (message: string) =>
  (/^Authentication-Results: (?:.*\r\n[ \t])*.*\r\n/.exec(message)?.[0] ?? '').replace(/\r\n[ \t]+/g, ' ');

test('who is proven passes SPF, DKIM and DMARC, under our name', async () => {
  const message = await verify(signed);
  const results = readResults(message);
  assert.match(results, new RegExp(`^Authentication-Results: ${ID};`));
  for (const method of ['spf=pass', 'dkim=pass', 'dmarc=pass']) assert.ok(results.includes(method), results);
  assert.ok(message.endsWith(signed), 'nothing else changes');
  assert.equal(facts?.chain, 'none');
  assert.match(facts?.results ?? '', /^mx\.example\.com;.*dmarc=pass/s);
  const { counts } = counters.take() ?? assert.fail();
  for (const result of ['spf,pass', 'dkim,pass', 'dmarc,pass', 'arc,none'])
    assert.equal(counts[`verified{${result}}`], 1, result);
});

test('a client that calls itself by letters beyond ASCII makes no field, and no seal, of eight bits', async () => {
  const message = await verify(signed, '192.0.2.7', 1_000, { helo: 'jörg.example', sender: '' });
  for (const results of [readResults(message), facts?.results ?? ''])
    assert.match(results, /^[\t\r\n -~]*helo="j\?rg\.example"[\t\r\n -~]*$/);
});

test('who is forged fails', async () => {
  const results = readResults(await verify(signed.replace('hello', 'hullo'), '198.51.100.1'));
  for (const method of ['spf=fail', 'dkim=fail', 'dmarc=fail']) assert.ok(results.includes(method), results);
});

test('a DNS that fails is a temporary error, and the message goes on', async () => {
  broken = true;
  const results = readResults(await verify(signed));
  for (const method of ['spf=temperror', 'dkim=temperror']) assert.ok(results.includes(method), results);
});

test('fields that claim to be ours are removed, in every spelling; those of others stay', async () => {
  const ours = [
    `Authentication-Results: ${ID}; spf=pass`,
    `authentication-results: ${ID.toUpperCase()} 1; dkim=pass`,
    `Authentication-Results:\r\n\t(a comment) ${ID};\r\n\tdmarc=pass`,
    `Authentication-Results: "${ID}"; dmarc=pass`,
    `Authentication-Results : ${ID}; dmarc=pass`,
    'Authentication-Results: ;',
  ];
  const others = ['Authentication-Results: mx.example.org; spf=fail', 'X-Authentication-Results: x'];
  for (const field of ours) {
    const message = await verify(`${field}\r\n${MESSAGE}`);
    assert.ok(!message.includes(field) && message.endsWith(MESSAGE), field);
    assert.equal(message.match(/^authentication-results/gim)?.length, 1, field);
  }
  for (const field of others) assert.ok((await verify(`${field}\r\n${MESSAGE}`)).includes(field), field);
});

test('what is too much is not verified, the log says why, and a forged field goes all the same', async () => {
  const forged = `Authentication-Results: ${ID}; spf=pass\r\n`;
  const signature = 'DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=s; h=from; bh=; b=\r\n';
  for (const [message, reason] of [
    [`${forged}X-Long: ${'x'.repeat(70_000)}\r\n${MESSAGE}`, /longer than 64 KiB/],
    [`${forged}${signature.repeat(11)}${MESSAGE}`, /more than 10 signatures/],
    [`${forged}no field\r\n${signature.repeat(11)}${MESSAGE}`, /more than 10 signatures/],
    [`no field\r\n${'X: y\r\n'.repeat(2_001)}${MESSAGE}`, /more than 2000 lines/],
    [`${forged}X-Blanks: a${' '.repeat(200)}b\r\n${MESSAGE}`, /too many blanks/],
    [`${forged}${'X: y\r\n'.repeat(2_001)}${MESSAGE}`, /more than 2000 lines/],
    [`${forged}${MESSAGE}${'x'.repeat(1_100_000)}\r\n`, /longer than 1 MiB/],
  ] as const) {
    logged = [];
    const verified = await verify(message, '192.0.2.7', 30_000);
    assert.ok(verified.startsWith(`Authentication-Results: ${ID}; none\r\n`), verified.slice(0, 200));
    assert.equal(verified.match(/^Authentication-Results/gm)?.length, 1);
    const [[event, told] = assert.fail()] = logged as [string, { reason: string }][];
    assert.equal(event, 'not_verified');
    assert.match(told.reason, reason);
    assert.equal(facts, undefined);
  }
});

test('a message that cannot be read is no verified message', async () => {
  const verifier = new Verifier({ id: ID, seals: true, askDns, log: () => undefined, counters });
  // biome-ignore lint/correctness/useYield: it ends before the first piece.
  const read = async function* (): AsyncGenerator<Buffer> {
    throw new Error('the disk is gone');
  };
  await assert.rejects(verifier.verify({ trace: traceOf(), sender: '', read }), /the disk is gone/);
});
