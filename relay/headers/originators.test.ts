import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { judgeOriginators, OriginatorGuard } from './originators.ts';
import { SECTION_BYTES } from './section.ts';

const allows = (address: string) => address === 'me@x.example' || address.endsWith('@mine.example');
const judge = (header: string) => judgeOriginators(`${header.replaceAll('\n', '\r\n')}\r\n\r\n`, allows);

test('own addresses are taken, however they are written', () => {
  for (const header of [
    'From: me@x.example',
    'from:me@x.example',
    'FROM : <me@x.example>',
    'From: "you@y.example" <me@x.example>',
    'From: =?utf-8?q?you=40y.example?= <me@x.example>',
    'From: Me (you@y.example) <me@x.example>',
    'From: Me\n\t<me@x.example>',
    'From: <me@x.example>, A <a@mine.example>,\n b@mine.example',
    'Subject: s\nFrom: me@x.example\nSender: a@mine.example\nReply-To: you@y.example',
    'From: me@x.example\nResent-From: a@mine.example\nResent-From: b@mine.example',
  ])
    assert.equal(judge(header), undefined, header);
});

test('each foreign address in each field of the senders is told', () => {
  const found = (header: string) => {
    const fault = judge(header);
    return fault?.kind === 'not allowed' ? `${fault.field} ${fault.address}` : fault?.kind;
  };
  assert.equal(found('From: you@y.example'), 'From you@y.example');
  assert.equal(found('From: "me@x.example" <you@y.example>'), 'From you@y.example');
  assert.equal(found('From: me@x.example, you@y.example'), 'From you@y.example');
  assert.equal(found('From: me@x.example\nSender: you@y.example'), 'Sender you@y.example');
  assert.equal(found('Sender: me@x.example\nFrom: you@y.example'), 'From you@y.example');
  assert.equal(found('From: me@x.example\nResent-From: you@y.example'), 'Resent-From you@y.example');
  assert.equal(found('From: me@x.example\nResent-Sender: you@y.example'), 'Resent-Sender you@y.example');
  assert.equal(found('From: j\u00c3\u00b6@y.example'), 'From jö@y.example');
});

test('a field that mail programs read in different ways is refused', () => {
  for (const value of [
    '',
    'me',
    'Team: me@x.example, a@mine.example;',
    'undisclosed:;',
    'me@x.example <you@y.example>',
    '<me@x.example> you@y.example',
    '<@relay.example:me@x.example>',
    'me@x.example; you@y.example',
    '<me@x.example',
    '"me@x.example',
    'me@x.example (you',
    '=?utf-8?q?you=40y.example=00?=@mine.example',
    '"=?utf-8?q?you=40y.example?="@mine.example',
    'me\u0000@x.example',
  ])
    assert.deepEqual(judge(`From: ${value}`), { kind: 'unreadable', field: 'From' }, value);
  assert.deepEqual(judge('From: me@x.example\nSender: Me'), { kind: 'unreadable', field: 'Sender' });
});

test('no From, several, and a header out of order are refused', () => {
  assert.deepEqual(judge('Subject: s'), { kind: 'no From' });
  assert.deepEqual(judge('Resent-From: me@x.example\nX-From: me@x.example'), { kind: 'no From' });
  assert.deepEqual(judge('From: me@x.example\nfrom: me@x.example'), { kind: 'several', field: 'From' });
  assert.deepEqual(judge('From: me@x.example\nSender: me@x.example\nSender: me@x.example'), {
    kind: 'several',
    field: 'Sender',
  });
  for (const header of [
    'From: me@x.example\nnot a field\nFrom: you@y.example',
    'From me\nFrom: me@x.example',
  ])
    assert.deepEqual(judge(header), { kind: 'unreadable header' });
  assert.deepEqual(judgeOriginators('', allows), { kind: 'no From' });
  assert.deepEqual(judgeOriginators('\r\nFrom: me@x.example\r\n', allows), { kind: 'no From' });
});

test('a message in pieces is judged as a whole, once, and its body means nothing', () => {
  const bodies = fc.constantFrom(
    '',
    '\r\n',
    '\r\nbody',
    '\r\nFrom: you@y.example\r\n\r\nFrom: me@x.example\r\n',
  );
  const headers = fc
    .array(
      fc.constantFrom(
        'From: me@x.example\r\n',
        'From: you@y.example\r\n',
        'Subject: \r\n\tfolded\r\n',
        'Sender: Me\r\n',
        'no field\r\n',
      ),
      { maxLength: 4 },
    )
    .map((fields) => fields.join(''));
  fc.assert(
    fc.property(headers, bodies, fc.array(fc.nat(40), { maxLength: 20 }), (header, body, cuts) => {
      const message = Buffer.from(header + body);
      const guard = new OriginatorGuard(allows);
      const faults = [];
      let at = 0;
      for (const cut of cuts) {
        faults.push(guard.push(message.subarray(at, at + cut)));
        at += cut;
      }
      faults.push(guard.push(message.subarray(at)), guard.end());
      const found = faults.filter((fault) => fault !== undefined);
      const expected = judgeOriginators(body === '' ? header : `${header}\r\n`, allows);
      assert.deepEqual(found, expected === undefined ? [] : [expected]);
    }),
  );
});

test('a header that is too long to be read is refused, and not kept', () => {
  const guard = new OriginatorGuard(allows);
  const line = Buffer.from(`X-Long: ${'x'.repeat(990)}\r\n`);
  const faults = [guard.push(Buffer.from('From: me@x.example\r\n'))];
  for (let bytes = 0; bytes <= SECTION_BYTES; bytes += line.length) faults.push(guard.push(line));
  assert.deepEqual(
    faults.filter((fault) => fault !== undefined),
    [{ kind: 'unreadable header' }],
  );
  assert.equal(guard.end(), undefined);
});
