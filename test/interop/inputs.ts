/** What the field sends, right or wrong: a name, and the bytes that are sent, each after the reply to those before. Pure. */
export interface Input {
  readonly name: string;
  readonly steps: readonly string[];
}

const HELLO = 'EHLO client.example\r\n';
const ENVELOPE = [HELLO, 'MAIL FROM:<a@client.example>\r\n', 'RCPT TO:<b@example.com>\r\n'];
const shown = (text: string) => text.replaceAll('\r', '\\r').replaceAll('\n', '\\n').replaceAll('\0', '\\0');
const command = (line: string): Input => ({ name: line, steps: [HELLO, `${line}\r\n`] });
const recipient = (line: string): Input => ({
  name: line,
  steps: [HELLO, 'MAIL FROM:<>\r\n', `${line}\r\n`],
});
const message = (text: string): Input => ({
  name: shown(text),
  steps: [...ENVELOPE, 'DATA\r\n', text],
});

export const INPUTS: readonly Input[] = [
  ...[
    'MAIL FROM:<name.@host.example>',
    'MAIL FROM:<.name@host.example>',
    'MAIL FROM:<na..me@host.example>',
    'MAIL FROM:a@host.example',
    'MAIL FROM: <a@host.example>',
    'MAIL FROM:< a@host.example >',
    'MAIL FROM:<a@host_1.example>',
    'MAIL FROM:<a@host.example.>',
    'MAIL FROM:<a@host.example..>',
    'MAIL FROM:<"john doe"@host.example>',
    'MAIL FROM:<john doe@host.example>',
    'MAIL FROM:<a%b@host.example>',
    'MAIL FROM:<a!b@host.example>',
    'MAIL FROM:<"a@b"@host.example>',
    'MAIL FROM:<a@b@host.example>',
    'MAIL FROM:<@hop.example:a@host.example>',
    'MAIL FROM:<a@192.0.2.1>',
    'MAIL FROM:<a@[192.0.2.1]>',
    'MAIL FROM:<a@-host.example>',
    'MAIL FROM:<a(b)@host.example>',
    'MAIL FROM:<<a@host.example>>',
    'MAIL FROM:<a@host.example',
    'MAIL FROM:<root>',
    'MAIL FROM:<a@host.example> FOO=1',
    'MAIL FROM:<a@host.example> BY=120;R',
    'MAIL FROM:<a@host.example> HOLDFOR=60',
    'MAIL FROM:<a@host.example> MT-PRIORITY=3',
    'MAIL FROM:<a@host.example> REQUIRETLS',
    'MAIL FROM:<a@host.example> AUTH=<>',
  ].map(command),
  ...[
    'RCPT TO:<a%b@example.com>',
    'RCPT TO:<a!b@example.com>',
    'RCPT TO:<"a@b"@example.com>',
    'RCPT TO:<@hop.example:b@example.com>',
    'RCPT TO:<"john doe"@example.com>',
    'RCPT TO:<name.@example.com>',
    'RCPT TO:<root>',
    'RCPT TO:<b@example.com> FOO=1',
  ].map(recipient),
  { name: 'HELO two words', steps: ['HELO two words\r\n'] },
  ...['GET / HTTP/1.1', 'POST /x HTTP/1.1', 'CONNECT a.example:25 HTTP/1.1', 'PUT /x HTTP/1.1', '{json}'].map(
    (line) => ({ name: line, steps: [`${line}\r\n`, HELLO] }),
  ),
  ...[
    'Subject: x\n\nhi\r\n.\r\n',
    'Subject: x\r\n\r\nhi\n.\nthere\r\n.\r\n',
    'Subject: x\r\n\r\nhi\n.\r\nthere\r\n.\r\n',
    'Subject: x\r\n\r\nhi\r\n.\nthere\r\n.\r\n',
    'Subject: x\r\n\r\nhi\rthere\r\n.\r\n',
    'Subject: x\r\n\r\nhi\0there\r\n.\r\n',
    ' Subject: x\r\n\r\nhi\r\n.\r\n',
    'From a@b Mon\r\nSubject: x\r\n\r\nhi\r\n.\r\n',
    'hello world\r\n\r\n.\r\n',
  ].map(message),
];
