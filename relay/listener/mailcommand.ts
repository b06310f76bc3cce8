/**
 * Parses MAIL and RCPT as clients write them, and refuses invalid ones. The path is read as Postfix does. Source routes
 * and unknown parameters are refused (RFC 5321 section 4.1.1.11), because accepting a parameter is a promise to obey
 * it. Pure.
 */
import { isUtf8 } from 'node:buffer';
import type { Listener, Policy } from '#crds/policyfile.ts';
import { type Mailbox, readGivenMailbox } from '../addresses/address.ts';
import { decodeXtext } from '../addresses/xtext.ts';
import { REPLIES, type Reply } from './reply.ts';

interface MailCommand {
  /** null: the null sender. */
  readonly mailbox: Mailbox | null;
  /** In their order. The value is unchanged, or decoded xtext, or true if there is none. */
  readonly parameters: readonly (readonly [name: string, value: string | true])[];
}

export type ReadCommand =
  | { kind: 'command'; command: MailCommand }
  | { kind: 'source-route' }
  | { kind: 'ill-formed' };

export interface OfferedParameters {
  readonly messageBytes: number;
  readonly dsn: boolean;
  readonly auth: boolean;
  /** The session is encrypted. */
  readonly secure: boolean;
}

type Verb = 'MAIL' | 'RCPT';

/** RFC 5321 section 4.5.3.1.4 plus all extensions. This also limits the size of a recipient in the queue. */
const LONGEST_LINE = 2_048;
const LONGEST_NAME = 40;

const BEGIN = { MAIL: /^[A-Z]+[ \t]+FROM:/i, RCPT: /^[A-Z]+[ \t]+TO:/i };
/**
 * After the colon: a path in brackets, where quotes may contain brackets and blanks, or a word. Then the parameters.
 */
const PATH =
  /^[ \t]*(?:<((?:[^<>"]|"(?:[^"\\]|\\.)*")*)>|((?:[^\s<>"]|"(?:[^"\\]|\\.)*")+))(?:[ \t]+(.*))?$/s;
const SOURCE_ROUTE = /^@[^"]*:/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\x00-\x1f\x7f]/;

const NO_PARAMETERS: MailCommand['parameters'] = [];

/** The last line, and what it says. */
let last: { readonly line: Buffer; readonly read: ReadCommand } | undefined;

const WRONG = {
  MAIL: { form: REPLIES.senderSyntax, route: REPLIES.badSender },
  RCPT: { form: REPLIES.recipientSyntax, route: REPLIES.badRecipient },
};

/** The reply that refuses an invalid MAIL or RCPT, or undefined. */
export function refusalOfCommand(verb: Verb, line: Buffer, offered: OfferedParameters): Reply | undefined {
  if (line.length > LONGEST_LINE) return REPLIES.lineTooLong;
  // Ill-formed UTF-8 would become U+FFFD.
  if (!isUtf8(line)) return WRONG[verb].route;
  const read = readMailCommand(verb, line);
  if (read.kind === 'source-route') return WRONG[verb].route;
  if (read.kind === 'ill-formed') return WRONG[verb].form;
  const { mailbox, parameters } = read.command;
  if (verb === 'RCPT' && (mailbox === null || !isWhole(mailbox))) return WRONG[verb].form;
  if (parameters.length === 0) return undefined;
  const known = knownParameters(verb, offered);
  const unknown = parameters.find(([name]) => !known.includes(name));
  if (unknown) return unsupported(unknown[0]);
  if (parameters.some(([name, value]) => name === 'REQUIRETLS' && value !== true))
    return REPLIES.parameterValue;
  const size = parameters.find(([name]) => name === 'SIZE')?.[1];
  return Number(size) > offered.messageBytes ? REPLIES.tooLarge : undefined;
}

export function readVerb(line: Buffer): string {
  const end = line.indexOf(0x20);
  return line.toString('latin1', 0, end === -1 ? line.length : end).toUpperCase();
}

/** Parses a line once: the gate and the library both ask for it. */
export function readMailCommand(verb: Verb, line: Buffer): ReadCommand {
  if (last?.line !== line) last = { line, read: parse(verb, line.toString()) };
  return last.read;
}

function parse(verb: Verb, line: string): ReadCommand {
  if (!BEGIN[verb].test(line)) return { kind: 'ill-formed' };
  const [, inBrackets, word, rest = ''] = PATH.exec(line.slice(line.indexOf(':') + 1)) ?? [];
  const path = inBrackets?.trim() ?? word;
  if (path === undefined) return { kind: 'ill-formed' };
  if (SOURCE_ROUTE.test(path)) return { kind: 'source-route' };
  const mailbox = inBrackets === '' ? null : readGivenMailbox(path);
  const parameters = rest === '' ? NO_PARAMETERS : readParameters(rest);
  if (mailbox === undefined || parameters === undefined) return { kind: 'ill-formed' };
  return { kind: 'command', command: { mailbox, parameters } };
}

/**
 * Undefined if a decoded value contains a control character (RFC 3461 section 4: xtext), which could inject log lines.
 */
function readParameters(text: string): MailCommand['parameters'] | undefined {
  const words = text.split(/[ \t]+/).filter((word) => word !== '');
  const parameters = words.map((word) => {
    const [name = '', ...rest] = word.split('=');
    const value = decodeXtext(rest.join('='));
    return [name.toUpperCase(), value || true] as const;
  });
  return parameters.some(([, value]) => value !== true && CONTROL.test(value)) ? undefined : parameters;
}

/** Only the postmaster may be a recipient without a domain (RFC 5321 section 4.1.1.3). */
function isWhole({ local, domain }: Mailbox): boolean {
  return domain !== '' || local.toLowerCase() === 'postmaster';
}

/** What a session of this listener offers with MAIL and RCPT. */
export function listOffered(policy: Policy, listener: Listener, secure: boolean): OfferedParameters {
  const { messageBytes } = policy.inbound.limits;
  return { messageBytes, dsn: offersDsn(policy), auth: listener.auth !== 'Disabled', secure };
}

/**
 * Without a queue this relay cannot send a DSN later. The client that passes the mail to us sends it (RFC 3461 section
 * 5.2.2).
 */
export function offersDsn({ queue }: Policy): boolean {
  return queue.mode !== 'CutThrough';
}

function knownParameters(verb: Verb, { dsn, auth, secure }: OfferedParameters): readonly string[] {
  if (verb === 'RCPT') return dsn ? ['NOTIFY', 'ORCPT'] : [];
  return [
    'SIZE',
    'BODY',
    'SMTPUTF8',
    ...(secure ? ['REQUIRETLS'] : []),
    ...(dsn ? ['RET', 'ENVID'] : []),
    ...(auth ? ['AUTH'] : []),
  ];
}

function unsupported(name: string): Reply {
  const shown = name.replace(/[^!-~]/g, '?').slice(0, LONGEST_NAME);
  return { ...REPLIES.unknownParameter, text: `${REPLIES.unknownParameter.text}: ${shown}` };
}
