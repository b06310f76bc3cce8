/** What EHLO promises is kept: pipelining, 8BITMIME, SMTPUTF8 and DSN parameters; and what is not promised is refused. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { messageText } from '#test/kit/smtpclient.ts';
import { Rig } from './rig.ts';

let rig: Rig;

before(async () => {
  rig = await Rig.start({
    listeners: { smtp: {} },
    inbound: { clients: { networks: ['127.0.0.0/8'] }, limits: { messagesPerClientPerMinute: 50 } },
  });
});

after(() => rig?.end());

test('EHLO offers what there is, and nothing that would change the reply to STARTTLS', async () => {
  const client = await rig.client('smtp');
  const [, ...keywords] = (await client.command('EHLO client.example'))
    .split('\n')
    .map((line) => line.slice(4));
  assert.deepEqual(keywords, ['PIPELINING', '8BITMIME', 'SMTPUTF8', 'DSN', 'STARTTLS', 'SIZE 26214400']);
  assert.match(await client.command('HELO client.example'), /^250 relay\.example\.com$/);
});

test('PIPELINING: a whole transaction, and the next one, in one piece', async () => {
  const client = await rig.client('smtp');
  const envelope = 'MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nRCPT TO:<bad\r\nDATA\r\n';
  client.write(
    `${envelope}${messageText('first')}\r\n.\r\n${envelope}${messageText('second')}\r\n.\r\nQUIT\r\n`,
  );
  const codes: string[] = [];
  for (let n = 0; n < 11; n++) codes.push((await client.reply()).slice(0, 3));
  const each = ['250', '250', '501', '354', '250'];
  assert.deepEqual(codes, [...each, ...each, '221']);
  await Promise.all([rig.arrived('first'), rig.arrived('second')]);
});

test('8BITMIME: bytes beyond ASCII pass as they are', async () => {
  const client = await rig.client('smtp');
  assert.match(await client.command('MAIL FROM:<a@x.example> BODY=8BITMIME'), /^250/);
  await client.command('RCPT TO:<b@y.example>');
  await client.command('DATA');
  client.write(Buffer.from(`${messageText('eight')}\r\ngr\xfc\xdfe\r\n.\r\n`, 'latin1'));
  assert.match(await client.reply(), /^250/);
  assert.ok((await rig.arrived('eight')).text.includes('gr\xfc\xdfe'));
  assert.match(await client.command('MAIL FROM:<a@x.example> BODY=BINARYMIME'), /^501/);
});

test('SMTPUTF8: local parts beyond ASCII with it only; domains in either form', async () => {
  const client = await rig.client('smtp');
  assert.match(await client.command('MAIL FROM:<jürgen@x.example>'), /^553 5\.6\.7/);
  assert.match(await client.command('MAIL FROM:<a@x.example>'), /^250/);
  assert.match(await client.command('RCPT TO:<jürgen@y.example>'), /^553 5\.6\.7/);
  assert.match(await client.command('RCPT TO:<b@müller.example>'), /^250/);
  await client.command('RSET');
  assert.match(await client.command('MAIL FROM:<jürgen@x.example> SMTPUTF8'), /^250/);
  await client.command('RCPT TO:<b@xn--mller-kva.example>');
  await client.command('DATA');
  assert.match(await client.command(`${messageText('utf8')}\r\n.`), /^250/);
  const { to, text } = await rig.arrived('utf8');
  assert.match(text, / with UTF8SMTP id /);
  // The test's next hop shows domains in Unicode.
  assert.deepEqual(to, ['b@müller.example']);
});

test('DSN parameters are read, and wrong or doubled ones refused', async () => {
  const client = await rig.client('smtp');
  for (const wrong of ['RET=ALL', 'ENVID', 'SIZE=1 SIZE=2', 'ENVID=a+0D+0Ab'])
    assert.match(await client.command(`MAIL FROM:<a@x.example> ${wrong}`), /^501/, wrong);
  assert.match(await client.command('MAIL FROM:<a@x.example> RET=HDRS ENVID=QQ+2B1'), /^250/);
  for (const wrong of ['NOTIFY=NEVER,FAILURE', 'NOTIFY=SOMETIMES', 'ORCPT=b', 'NOTIFY'])
    assert.match(await client.command(`RCPT TO:<b@y.example> ${wrong}`), /^501/, wrong);
  assert.match(
    await client.command('RCPT TO:<b@y.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bc@y.example'),
    /^250/,
  );
});

test('BDAT, VRFY, EXPN and unknown commands tell nothing and harm nothing', async () => {
  const client = await rig.client('smtp');
  assert.match(await client.command('BDAT 10 LAST'), /^50/);
  assert.match(await client.command('VRFY postmaster'), /^252/);
  assert.match(await client.command('EXPN staff'), /^50/);
  assert.match(await client.command('XCLIENT ADDR=192.0.2.1'), /^502/);
  assert.match(await client.command('NOOP'), /^250/);
});

test('an empty message, and one of dots only, arrive as they were', async () => {
  const client = await rig.client('smtp');
  const dots = 'X-Test-Id: dots\r\n\r\n.\r\n..\r\n.a';
  assert.match(await client.send('a@x.example', ['b@y.example'], dots), /^250/);
  assert.ok((await rig.arrived('dots')).text.endsWith('\r\n\r\n.\r\n..\r\n.a\r\n'));
  await client.command('MAIL FROM:<a@x.example>');
  await client.command('RCPT TO:<b@y.example>');
  await client.command('DATA');
  assert.match(await client.command('.'), /^250/);
});
