/**
 * The parameters of MAIL and RCPT: ENVID and the DSN wishes of each recipient (RFC 3461), and SMTPUTF8 (RFC 6531). Also decides
 * whether a next hop can take the message at all. Pure.
 */

import { type Failure, makeFailure } from '#crds/failure.ts';
import { encodeOctets, encodeXtext } from '../addresses/xtext.ts';
import type { Parcel } from './courier.ts';
import type { Extension } from './hopconnection.ts';

/** A character in the notation of RFC 6533, or one that must be in it. */
const BEYOND_XTEXT = /\\x\{[0-9a-f]+\}|[^!-*,-<>-[\]-~]/giu;

type Offers = (extension: Extension) => boolean;

/** The key is the command that the parameter belongs to. */
export function makeParameters(
  { from, to, dsn, smtpUtf8 }: Parcel,
  offers: Offers,
): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  const { envid } = dsn;
  // The library adds SMTPUTF8 by itself for international addresses, but for nothing else.
  const addsUtf8 = smtpUtf8 && offers('SMTPUTF8') && isAscii([from, ...to].join(''));
  const ofMail = [
    ...(envid !== null && offers('DSN') ? [`ENVID=${encodeXtext(envid)}`] : []),
    ...(addsUtf8 ? ['SMTPUTF8'] : []),
  ];
  if (ofMail.length > 0) parameters.set(`MAIL FROM:<${from}>`, ofMail.join(' '));
  if (!offers('DSN')) return parameters;
  to.forEach((address, index) => {
    const { notify = null, orcpt = null } = dsn.recipients[index] ?? {};
    const said = [
      ...(notify === null ? [] : [`NOTIFY=${notify.join(',')}`]),
      ...(orcpt === null ? [] : [`ORCPT=${encodeOrcpt(orcpt)}`]),
    ];
    if (said.length > 0) parameters.set(`RCPT TO:<${address}>`, said.join(' '));
  });
  return parameters;
}

/**
 * Says why a next hop with these extensions cannot take the message. RFC 6152 section 3 and RFC 6531 section 3.6 let a
 * relay convert or return the message. We return it, because a conversion breaks every signature. The message is read
 * only if the hop lacks an extension. `hidesOffers`: it may have them in another session, so the message waits.
 */
export async function judgeContent(
  { from, to, smtpUtf8, beyondAscii }: Parcel,
  offers: Offers,
  hidesOffers: boolean,
): Promise<Failure | undefined> {
  if (offers('SMTPUTF8') && offers('8BITMIME')) return undefined;
  const lacking = (detail: string, text: string) =>
    hidesOffers
      ? makeFailure({ cause: 'policy', status: `4.${detail}`, text: `${text}: it refused EHLO under TLS` })
      : makeFailure({ cause: 'policy', status: `5.${detail}`, text });
  const international = lacking('6.7', 'The next hop does not offer SMTPUTF8');
  if (!offers('SMTPUTF8') && !isAscii([from, ...to].join(''))) return international;
  const { header, body } = await beyondAscii();
  if (!offers('SMTPUTF8') && smtpUtf8 && header) return international;
  if (offers('8BITMIME') || !(header || body)) return undefined;
  return lacking('6.3', 'The message has 8-bit content and the next hop does not offer 8BITMIME');
}

/** An address beyond ASCII has the form of RFC 6533 section 3 that every host with DSN takes. */
function encodeOrcpt(orcpt: string): string {
  return /^utf-8;/i.test(orcpt) ? orcpt.replace(BEYOND_XTEXT, embed) : encodeXtext(orcpt);
}

/** A client may have sent this form already, or an octet that is no character. */
function embed(piece: string): string {
  const octet = encodeOctets(piece);
  if (piece.startsWith('\\x{') || octet !== piece) return octet;
  return `\\x{${piece.codePointAt(0)?.toString(16).toUpperCase()}}`;
}

function isAscii(text: string): boolean {
  return !/[^\x20-\x7e]/.test(text);
}
