import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderFacts } from './facts.ts';

function recipientsTold(recipients: readonly string[]): readonly string[] {
  const trace = {
    queueId: 'id',
    hostname: 'relay.example',
    client: '192.0.2.1',
    helo: 'x',
    authenticated: false,
    tls: null,
  };
  const body = (async function* () {})();
  const mail = { trace: { ...trace, recipients }, sender: '', login: null, bytes: 0, body };
  return renderFacts(mail, undefined)['Rcpt'] as string[];
}

test('the header has the first 200 recipients, and never more than a filter takes', () => {
  const many = (length: number, local: string) =>
    Array.from({ length }, (_, n) => `${local}${n}@example.com`);
  assert.deepEqual(recipientsTold(many(3, 'a')), many(3, 'a'));
  assert.equal(recipientsTold(many(1_000, 'a'.repeat(238))).length, 200);
  // rspamd answers 400 to a header of 80 KiB.
  const told = recipientsTold(many(200, '\u6f22'.repeat(238)));
  const bytes = told.reduce((sum, one) => sum + one.length, 0);
  assert.ok(told.length > 70 && bytes < 61_440, `${told.length} recipients, ${bytes} bytes`);
});
