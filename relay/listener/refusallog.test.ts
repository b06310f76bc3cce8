import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findCure, RULES_OF_REFUSAL } from './cures.ts';
import { RefusalLog, type RefusedCommand } from './refusallog.ts';
import { REPLIES } from './reply.ts';

type Line = Readonly<Record<string, unknown>>;

const REFUSED: RefusedCommand = {
  client: '192.0.2.1',
  helo: 'client.example',
  listener: 'smtp',
  tls: 'none',
  login: null,
  line: Buffer.from('RCPT TO:<you@elsewhere.example> NOTIFY=NEVER'),
  code: 550,
  text: '5.7.1 Relaying denied',
  rule: 'relaying_denied',
};

function told(...refusals: readonly Partial<RefusedCommand>[]): Line[] {
  const lines: Line[] = [];
  const log = new RefusalLog((event, fields) => lines.push({ event, ...fields }));
  for (const refused of refusals) log.tell({ ...REFUSED, ...refused });
  return lines;
}

test('a refusal is told with its client, its command, its rule and its cure', () => {
  assert.deepEqual(told({}), [
    {
      event: 'refused',
      client: '192.0.2.1',
      helo: 'client.example',
      listener: 'smtp',
      tls: 'none',
      login: undefined,
      command: 'RCPT',
      address: 'you@elsewhere.example',
      reply: '550 5.7.1 Relaying denied',
      rule: 'relaying_denied',
      cure: findCure('relaying_denied'),
    },
  ]);
});

test('what is no command may be a password, and what follows AUTH is one: neither is told', () => {
  for (const line of ['c2VjcmV0', 'secret', 'AUTH PLAIN AHVzZXIAc2VjcmV0', 'VRFY secret', '\0secret', ''])
    assert.doesNotMatch(JSON.stringify(told({ line: Buffer.from(line) })), /secret|c2VjcmV0/i, line);
});

test('a client that guesses does not fill the log, another is told all the same, and what is left out is counted', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const lines: Line[] = [];
  const log = new RefusalLog((event, fields) => lines.push({ event, ...fields }));
  for (let n = 0; n < 1_000; n++) log.tell(REFUSED);
  log.tell({ ...REFUSED, client: '192.0.2.2' });
  assert.equal(lines.length, 31);
  t.mock.timers.tick(60_000);
  assert.deepEqual(lines.at(-1), { event: 'refused', client: '192.0.2.1', rule: 'left_out', count: 970 });
  log.tell(REFUSED);
  assert.equal(lines.length, 33);
});

test('every rule that refuses has a cure, and no cure is for nothing', () => {
  const rules = new Set(Object.values(REPLIES).map(({ reason }) => reason));
  for (const rule of [...rules, 'protocol']) assert.ok(findCure(rule), rule);
  const fromElsewhere = [
    'protocol',
    'sender_login_mismatch',
    'address_refused',
    'filter_refused',
    'filter_deferred',
    'next_hop_refused',
    'next_hop_deferred',
  ];
  for (const rule of RULES_OF_REFUSAL)
    assert.ok(rules.has(rule as never) || fromElsewhere.includes(rule), rule);
});
