/**
 * `mailrelay send`: sends one message, then prints the reply of the server and the TLS of the session. Verifies the
 * certificate unless TLS is off. Never falls back to plain text, and never logs in over plain text.
 */
import { readFileSync } from 'node:fs';
import type { TLSSocket } from 'node:tls';
import SMTPConnection from 'nodemailer/lib/smtp-connection/index.js';
import XOAuth2 from 'nodemailer/lib/xoauth2';
import { readPassword } from './password.ts';
import { options, portOption, UsageError } from './usage.ts';

const HELP = `Usage: mailrelay send --server HOST:PORT --from ADDRESS --to ADDRESS [options]

Sends one message. The certificate of the server is verified. Nothing is sent in plain text without --tls none.

  --server HOST:PORT    where to send
  --tls MODE            starttls (default), implicit or none
  --server-name NAME    name that the certificate must have   (the host of --server)
  --ca FILE             certificates to trust                 (the public roots)
  --user NAME           log in; the password is asked for, or is the first line of standard input
  --token-file FILE     log in with the token in FILE (XOAUTH2), such as that of a ServiceAccount
  --from, --to ADDRESS  envelope; --to can be repeated
  --subject TEXT        subject of the message
`;

interface Options {
  readonly server: string;
  readonly from: string;
  readonly to: string[];
  readonly tls: string;
  readonly subject: string;
  readonly serverName: string | undefined;
  readonly ca: string | undefined;
}

const OPTIONS = {
  server: { type: 'string' },
  tls: { type: 'string', default: 'starttls' },
  'server-name': { type: 'string' },
  ca: { type: 'string' },
  user: { type: 'string' },
  'token-file': { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string', multiple: true },
  subject: { type: 'string', default: 'A message through the relay' },
} as const;

export async function send(argv: string[]): Promise<number> {
  const parsed = options(argv, OPTIONS, HELP);
  if (!parsed) return 0;
  const { server, from, to, tls, subject, ca, user, 'token-file': tokenFile } = parsed.values;
  if (!server || from === undefined || !to)
    throw new UsageError('Name --server, --from and --to: see --help');
  if (!['starttls', 'implicit', 'none'].includes(tls))
    throw new UsageError(`--tls must be starttls, implicit or none, not "${tls}"`);
  const wantsLogin = user !== undefined || tokenFile !== undefined;
  if (wantsLogin && tls === 'none')
    throw new UsageError('A login is never sent in clear: leave --tls none out');
  const login = wantsLogin ? await makeLogin(user, tokenFile) : undefined;
  const serverName = parsed.values['server-name'];
  await transmit({ server, from, to, tls, subject, ca, serverName }, login);
  return 0;
}

async function transmit(message: Options, login: Awaited<ReturnType<typeof makeLogin>> | undefined) {
  const session = await connect(message);
  const socket = session._socket as TLSSocket;
  const protection = session.secure ? `${socket.getProtocol()} ${socket.getCipher().name}` : 'plain text';
  try {
    if (login) await logIn(session, login);
    const reply = await submit(session, message.from, message.to, message.subject);
    session.quit();
    process.stdout.write(`${reply}\n${protection}\n`);
  } catch (error) {
    // An open connection would keep the process alive.
    session.close();
    throw error;
  }
}

function connect({ server, tls, ca, serverName }: Options): Promise<SMTPConnection> {
  const colon = server.lastIndexOf(':');
  if (colon < 1) throw new UsageError(`--server must be HOST:PORT, not "${server}"`);
  const host = server.slice(0, colon);
  const session = new SMTPConnection({
    host,
    port: portOption('server', server.slice(colon + 1)),
    name: 'localhost',
    allowInternalNetworkInterfaces: true,
    secure: tls === 'implicit',
    requireTLS: tls === 'starttls',
    ignoreTLS: tls === 'none',
    tls: {
      ...(serverName ? { servername: serverName } : {}),
      ...(ca ? { ca: readFileSync(ca, 'utf8') } : {}),
    },
  });
  return new Promise((resolve, reject) => {
    const fail = (error: Error) =>
      reject(new Error(`Cannot send through ${server}: ${error.message.split('\n')[0]}`));
    session.on('error', fail);
    session.connect((error) => (error ? fail(error) : resolve(session)));
  });
}

type Login = Parameters<SMTPConnection['login']>[0];

async function makeLogin(user = 'token', tokenFile: string | undefined): Promise<Login> {
  if (tokenFile === undefined)
    return { user, credentials: { user, pass: await readPassword('known') } } as Login;
  const accessToken = readFileSync(tokenFile, 'utf8').trim();
  return { user, method: 'XOAUTH2', oauth2: new XOAuth2({ user, accessToken }) } as Login;
}

function logIn(session: SMTPConnection, login: Login): Promise<void> {
  return new Promise((resolve, reject) => {
    session.login(login, (error) => {
      if (error) reject(new Error(`The login was not taken: ${error.message.split('\n')[0]}`));
      else resolve();
    });
  });
}

function submit(
  session: SMTPConnection,
  from: string,
  to: readonly string[],
  subject: string,
): Promise<string> {
  const headers = [
    `From: <${from}>`,
    `To: ${to.map((address) => `<${address}>`).join(', ')}`,
    `Subject: ${subject.replace(/[\r\n]+/g, ' ')}`,
    `Date: ${new Date().toUTCString().replace('GMT', '+0000')}`,
    `Message-ID: <${crypto.randomUUID()}@localhost>`,
  ];
  return new Promise((resolve, reject) => {
    session.send(
      { from, to: [...to] },
      `${headers.join('\r\n')}\r\n\r\nSent by mailrelay send.\r\n`,
      (error, info) => {
        if (error) reject(new Error(`The message was not taken: ${error.message.split('\n')[0]}`));
        else resolve(info?.response ?? '');
      },
    );
  });
}
