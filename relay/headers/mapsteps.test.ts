import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressesOf, compiledOf, policyOf } from '#test/kit/relayrig.ts';
import { makeAddressMap, makeTable } from '../addresses/addressmap.ts';
import type { Addressee } from './envelope.ts';
import { mapField } from './mapsteps.ts';

const NOW = { sender: 'a@x.example', at: 0 };

function stepsWith(rows: Readonly<Record<string, readonly string[]>>) {
  const entries = Object.entries(rows).map(([address, to]) => ({ address, to: [...to], refuse: null }));
  const recipient = { map: { entries, tables: [] }, parts: ['Envelope' as const], headersOf: 'All' as const };
  return compiledOf(policyOf({}, {}, { addresses: addressesOf({ recipient }) }), false);
}

test('the original recipient of a DSN has the type of its address (RFC 6533)', () => {
  const { changeRecipient } = stepsWith({ '@y.example': ['joerg@z.example'] });
  const orcpt = (one: Addressee) => {
    const changed = changeRecipient(one, NOW);
    return changed.kind === 'changed' ? changed.to.map((each) => each.orcpt) : [];
  };
  assert.deepEqual(orcpt({ address: 'jörg@y.example' }), ['utf-8;jörg@y.example']);
  assert.deepEqual(orcpt({ address: 'joerg@y.example' }), ['rfc822;joerg@y.example']);
  assert.deepEqual(orcpt({ address: 'jörg@y.example', orcpt: 'rfc822;x@w.example' }), ['rfc822;x@w.example']);
});

test('recipients that become one are one, which has all addresses that the client gave', () => {
  const { changeRecipient, changeAll } = stepsWith({
    'sales@y.example': ['Ann@y.example'],
    'info@y.example': ['ann@y.example', 'bob@y.example'],
  });
  const to = ['sales@y.example', 'info@y.example', 'ann@y.example'].flatMap((address) => {
    const changed = changeRecipient({ address }, NOW);
    return changed.kind === 'changed' ? changed.to : [];
  });
  const changed = changeAll({ from: 'a@x.example', to }, NOW);
  assert.deepEqual(
    changed.kind === 'changed' && changed.to.to.map(({ address, given }) => [address, given]),
    [
      ['Ann@y.example', ['sales@y.example', 'info@y.example', 'ann@y.example']],
      ['bob@y.example', ['info@y.example']],
    ],
  );
});

const ENTRY = { address: '@old.example', to: ['@new.example'], refuse: null };

test('a sender whose local part is read as routing in recipients is rewritten, in the envelope and in From alike', () => {
  const { sender } = addressesOf();
  const map = { entries: [ENTRY], tables: [] };
  const policy = policyOf({}, {}, { addresses: addressesOf({ sender: { ...sender, map } }) });
  const { changeSender } = compiledOf(policy, true);
  const field = mapField(['From'], makeAddressMap([makeTable([ENTRY])], 'relay.example'), 'sender');
  for (const local of ['a%b', 'b!a', '"a:b"', '"a@b"', 'a']) {
    assert.deepEqual(changeSender(`${local}@old.example`), {
      kind: 'changed',
      to: `${local}@new.example`,
    });
    const text = `From: Ann <${local}@old.example>\r\n`;
    assert.equal(field?.edits?.({ name: 'from', text }), `From: Ann <${local}@new.example>\r\n`);
  }
});

test('a recipient with routing is not led to another domain, in the envelope and in To alike', () => {
  const { changeRecipient } = stepsWith({ '@old.example': ['@new.example'] });
  const field = mapField(['To'], makeAddressMap([makeTable([ENTRY])], 'relay.example'), 'recipient');
  for (const local of ['a%b', 'b!a', '"a:b"', '"a@b"']) {
    assert.equal(changeRecipient({ address: `${local}@old.example` }, NOW).kind, 'refused', local);
    const text = `To: ${local}@old.example\r\n`;
    assert.equal(field?.edits?.({ name: 'to', text }), text);
  }
});
