import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { printMailbox } from '../addresses/address.ts';
import { type OfferedParameters, readMailCommand, refusalOfCommand } from './mailcommand.ts';

const offered: OfferedParameters = { messageBytes: 1000, dsn: true, auth: true, secure: true };

function said(line: string, by = offered): string {
  const verb = line.toUpperCase().startsWith('MAIL') ? 'MAIL' : 'RCPT';
  const bytes = Buffer.from(line);
  const refusal = refusalOfCommand(verb, bytes, by);
  if (refusal) return `${refusal.code} ${refusal.text}`;
  const read = readMailCommand(verb, bytes);
  if (read.kind !== 'command') throw new Error(`${line} is refused by nobody`);
  return `<${read.command.mailbox ? printMailbox(read.command.mailbox) : ''}>`;
}

for (const [line, result] of [
  ['MAIL FROM:<>', '<>'],
  ['mail from:<a@x.example>', '<a@x.example>'],
  ['MAIL \t FROM: \t<a@x.example>', '<a@x.example>'],
  ['MAIL FROM:a@x.example SIZE=5', '<a@x.example>'],
  ['MAIL FROM:<"a> SIZE=1 <b"@x.example>', '501 5.1.7 Bad sender address syntax'],
  ['MAIL FROM:<"a b"@x.example>  body=7bit ', '<"a b"@x.example>'],
  ['MAIL FROM:<a@x.example>SIZE=5', '501 5.1.7 Bad sender address syntax'],
  ['MAIL FROM:<a@x.example> SIZE=1001', '552 5.3.4 Message exceeds the size limit'],
  ['MAIL FROM:<a@x.example> AUTH=<>', '<a@x.example>'],
  ['MAIL FROM:<a@x.example> ORCPT=rfc822;a', '555 5.5.4 Unsupported parameter: ORCPT'],
  ['MAIL FROM:<a@x.example> (comment)', '555 5.5.4 Unsupported parameter: (COMMENT)'],
  ['MAIL FROM:<a@x.example> =', '555 5.5.4 Unsupported parameter: '],
  ['MAIL FROM:<a@x.example> ENVID=a+0D+0Ab', '501 5.1.7 Bad sender address syntax'],
  ['MAIL FROM:<a@x.example> RequireTLS', '<a@x.example>'],
  ['MAIL FROM:<a@x.example> REQUIRETLS=yes', '501 5.5.4 This parameter takes no value'],
  ['RCPT TO:<b@y.example> REQUIRETLS', '555 5.5.4 Unsupported parameter: REQUIRETLS'],
  ['MAIL TO:<a@x.example>', '501 5.1.7 Bad sender address syntax'],
  ['RCPT TO:<>', '501 5.1.3 Bad recipient address syntax'],
  ['RCPT TO:<Postmaster>', '<Postmaster>'],
  ['RCPT TO:<root>', '501 5.1.3 Bad recipient address syntax'],
  ['RCPT TO:<b@y.example> SIZE=5', '555 5.5.4 Unsupported parameter: SIZE'],
] as const)
  test(`${line} is ${result}`, () => assert.equal(said(line), result));

test('xtext is UTF-8', () => {
  const read = (value: string) => {
    const line = Buffer.from(`RCPT TO:<b@y.example> ORCPT=${value}`);
    const { kind, ...rest } = readMailCommand('RCPT', line);
    return 'command' in rest ? rest.command.parameters[0]?.[1] : kind;
  };
  assert.equal(read('rfc822;j+C3+B6rg+2Bx@y.example'), 'rfc822;jörg+x@y.example');
  assert.equal(read('rfc822;+F0+9F+98+80+20+3D'), 'rfc822;😀 =');
  assert.equal(read('utf-8;jörg+2Bx@y.example'), 'utf-8;jörg+x@y.example');
  assert.equal(read('rfc822;a+zz+2b+'), 'rfc822;a+zz+2b+');
  for (const control of ['+00', '+0D+0A', '+C3+B6+0A', '+7F']) assert.equal(read(control), 'ill-formed');
});

test('what is not offered is not known', () => {
  const without = { messageBytes: 1000, dsn: false, auth: false, secure: true };
  for (const parameter of ['RET=HDRS', 'ENVID=1', 'AUTH=<>'])
    assert.match(said(`MAIL FROM:<> ${parameter}`, without), /^555 /, parameter);
  for (const parameter of ['NOTIFY=NEVER', 'ORCPT=rfc822;b'])
    assert.match(said(`RCPT TO:<b@y.example> ${parameter}`, without), /^555 /, parameter);
  assert.match(said('MAIL FROM:<> REQUIRETLS', { ...without, secure: false }), /^555 /);
});

test('whatever a line has, its reply is one line, and a taken path is one word that is read the same again', () => {
  const piece = fc.constantFrom(
    'MAIL FROM:',
    '<',
    '>',
    '"',
    '\\',
    '@',
    'a',
    'x.example',
    ' ',
    '\t',
    '=',
    'SIZE',
    '\r',
    '\0',
    'ü',
    ':',
    ',',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
      const line = `MAIL FROM:${pieces.join('')}`;
      const result = said(line);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      assert.doesNotMatch(result, /[\x00-\x1f]/);
      if (result.startsWith('<')) assert.equal(said(`MAIL FROM:${result}`), result);
    }),
    { numRuns: 2000 },
  );
});
