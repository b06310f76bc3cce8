/**
 * `mailrelay send`: sends one message, then prints the reply of the server and the TLS of the session. Verifies the
 * certificate unless TLS is off. Never falls back to plain text, and never logs in over plain text.
 */
import { existsSync, readFileSync } from 'node:fs';
import { TLSSocket } from 'node:tls';
import SMTPConnection from 'nodemailer/lib/smtp-connection/index.js';
import XOAuth2 from 'nodemailer/lib/xoauth2';
import { encodedWords } from '#crds/encodedwords.ts';
import { oneLine } from '#crds/failure.ts';
import { readCertificateFacts } from '#crds/keypair.ts';
import { printEndpoint } from '#crds/networks.ts';
import { describeFileError } from '#crds/systemwords.ts';
import { POD_PATHS } from '#crds/wellknown.ts';
import { readPassword } from './password.ts';
import { makeStepPrinter } from './sendsteps.ts';
import { describeSendError, type SendError, type SendTls } from './sendwords.ts';
import { visible } from './terminal.ts';
import { UsageError } from './usage.ts';

/** In base64 they are 52 characters, so that no line is longer than 76 (RFC 2047 section 2). */
const MOST_WORD_BYTES = 39;
const SILENT_MS = 4_000;
const POD_AUTHORITY = `${POD_PATHS.certificate}/ca.crt`;

interface SendOptions {
  readonly server: { readonly host: string; readonly port: number };
  /** Empty: the null sender. */
  readonly from: string;
  readonly to: readonly string[];
  readonly tls: SendTls;
  readonly subject: string;
  readonly serverName?: string;
  readonly ca?: string;
  readonly user?: string;
  readonly tokenFile?: string;
  readonly steps?: boolean;
}

export async function send(options: SendOptions): Promise<number> {
  const { tls, user, tokenFile } = options;
  const wantsLogin = user !== undefined || tokenFile !== undefined;
  if (wantsLogin && tls === 'none')
    throw new UsageError('A login is never sent in clear: leave --tls none out');
  const login = wantsLogin ? await makeLogin(user, tokenFile) : undefined;
  const { reply, protection, refused } = await transmit(options, login);
  process.stdout.write(`${visible(reply)}\n${protection}\n`);
  for (const { recipient, response } of refused)
    process.stderr.write(
      `mailrelay: The recipient ${recipient} was refused: ${visible(oneLine(response))}\n`,
    );
  return refused.length === 0 ? 0 : 1;
}

interface Sent {
  /** To the message, so for the recipients that were not refused. */
  readonly reply: string;
  readonly protection: string;
  readonly refused: readonly { readonly recipient: string; readonly response: string }[];
}

async function transmit(message: SendOptions, login: Login | undefined): Promise<Sent> {
  const { host, port } = message.server;
  const session = await tellWait(`${printEndpoint(host, port)} to begin the session`, connect(message));
  const socket = session._socket as TLSSocket;
  const protection = session.secure ? `${socket.getProtocol()} ${socket.getCipher().name}` : 'plain text';
  try {
    if (login) await tellWait('the answer to the login', logIn(session, login, message));
    const sent = await tellWait('the answer to the message', submit(session, message));
    await leave(session, message);
    return { ...sent, protection };
  } catch (error) {
    // An open connection would keep the process alive.
    session.close();
    throw error;
  }
}

/** The steps are whole before the result is told. */
async function leave(session: SMTPConnection, { steps }: SendOptions): Promise<void> {
  const ended = new Promise<void>((resolve) => session.once('end', resolve));
  session.quit();
  if (steps) await ended;
}

/** A server may take minutes (RFC 5321 section 4.5.3.2), and a person wants to know for what. */
async function tellWait<Result>(what: string, work: Promise<Result>): Promise<Result> {
  const timer = setTimeout(() => process.stderr.write(`mailrelay: Waiting for ${what} ...\n`), SILENT_MS);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}

function connect(options: SendOptions): Promise<SMTPConnection> {
  const { tls, ca, serverName, steps } = options;
  const { host, port } = options.server;
  const print = (line: string) => process.stdout.write(line);
  const session: SMTPConnection = new SMTPConnection({
    host,
    port,
    name: 'localhost',
    allowInternalNetworkInterfaces: true,
    secure: tls === 'implicit',
    requireTLS: tls === 'starttls',
    ignoreTLS: tls === 'none',
    ...(steps
      ? {
          transactionLog: true,
          logger: makeStepPrinter(print, () => describeTls(session, serverName ?? host)),
        }
      : {}),
    tls: {
      ...(serverName ? { servername: serverName } : {}),
      ...trust(ca),
    },
  });
  return new Promise((resolve, reject) => {
    const fail = (error: Error) =>
      reject(new Error(`Cannot send through ${printEndpoint(host, port)}: ${describeSendError(error, tls)}`));
    session.on('error', fail);
    session.connect((error) => (error ? fail(error) : resolve(session)));
  });
}

/** Undefined while the session is in plain text. A certificate that does not prove the name has ended the session before. */
function describeTls({ secure, _socket }: SMTPConnection, name: string): string | undefined {
  if (!secure || !(_socket instanceof TLSSocket)) return undefined;
  const { name: group } = _socket.getEphemeralKeyInfo() as { name?: string };
  const facts = [_socket.getProtocol(), _socket.getCipher().name, ...(group ? [`group ${group}`] : [])];
  const end = new Date(_socket.getPeerCertificate().valid_to).toISOString().replace(/\.\d+/, '');
  return `${facts.join(', ')}; the certificate proves ${name}, until ${end}`;
}

/** In a relay pod the Secret of the relay may have the authority of its certificate. */
function trust(ca: string | undefined): { ca?: string } {
  if (ca !== undefined) return { ca: readAuthorities(ca) };
  return existsSync(POD_AUTHORITY) ? { ca: readAuthorities(POD_AUTHORITY) } : {};
}

function readAuthorities(file: string): string {
  const text = readText(file);
  if (readCertificateFacts(text) === undefined)
    throw new Error(`"${file}" has no certificate: name a PEM file with those to trust by --ca`);
  return text;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw describeFileError('read', file, error);
  }
}

type Login = Parameters<SMTPConnection['login']>[0];

async function makeLogin(user = 'token', tokenFile: string | undefined): Promise<Login> {
  if (tokenFile === undefined)
    return { user, credentials: { user, pass: await readPassword('known') } } as Login;
  const accessToken = readText(tokenFile).trim();
  return { user, method: 'XOAUTH2', oauth2: new XOAuth2({ user, accessToken }) } as Login;
}

function logIn(session: SMTPConnection, login: Login, { tls }: SendOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    session.login(login, (error) => {
      if (error) reject(new Error(`The login was not taken: ${describeLoginError(error, tls)}`));
      else resolve();
    });
  });
}

function describeLoginError(error: SendError, tls: SendTls): string {
  return error.response === undefined ? describeSendError(error, tls) : oneLine(error.response);
}

function submit(
  session: SMTPConnection,
  { from, to, subject, tls }: SendOptions,
): Promise<Omit<Sent, 'protection'>> {
  const headers = [
    // The field needs an address, also where the envelope has the null sender.
    `From: <${from === '' ? 'mailer-daemon@localhost' : from}>`,
    `To: ${to.map((address) => `<${address}>`).join(', ')}`,
    `Subject: ${encodeWords(subject.replace(/[\r\n]+/g, ' '))}`,
    `Date: ${new Date().toUTCString().replace('GMT', '+0000')}`,
    `Message-ID: <${crypto.randomUUID()}@localhost>`,
  ];
  const text = `${headers.join('\r\n')}\r\n\r\nSent by mailrelay send.\r\n`;
  return new Promise((resolve, reject) => {
    session.send({ from, to: [...to] }, text, (error, info) => {
      if (error) reject(new Error(`The message was not taken: ${describeSendError(error, tls)}`));
      else resolve({ reply: oneLine(info?.response ?? ''), refused: listRefused(info?.rejectedErrors, tls) });
    });
  });
}

/** The header is ASCII (RFC 2047), because a server may not know SMTPUTF8. */
function encodeWords(text: string): string {
  if (Buffer.byteLength(text) === text.length) return text;
  return encodedWords(text, MOST_WORD_BYTES).join('\r\n ');
}

function listRefused(errors: readonly SendError[] | undefined, tls: SendTls): Sent['refused'] {
  return (errors ?? []).map((error) => ({
    recipient: (error as { recipient?: string }).recipient ?? '',
    response: error.response ?? describeSendError(error, tls),
  }));
}
