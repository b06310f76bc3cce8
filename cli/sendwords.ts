/**
 * Says in plain words why a message was not sent, with the cure where there is one. The input is an error of nodemailer,
 * of OpenSSL or of the system. Pure.
 */
import { type CertificateError, readCertificateError } from '#crds/certificateerror.ts';
import { oneLine } from '#crds/failure.ts';
import type { StartTlsPolicy } from '#crds/policyfile.ts';
import { describeSystemError, isSystemCode } from '#crds/systemwords.ts';
import { nameHandshakeReason } from '#relay/delivery/handshakereason.ts';

export interface SendError extends Error {
  readonly code?: string | undefined;
  /** The code of the system or of OpenSSL, which the library replaced by its own. */
  readonly originalCode?: string | undefined;
  /** The word of OpenSSL. */
  readonly reason?: string | undefined;
  /** The reply of the server, and the command that it answers. */
  readonly response?: string | undefined;
  readonly command?: string | undefined;
}

const REFUSED: Readonly<Record<string, string>> = {
  CONN: 'the server refuses the session',
  EHLO: 'the server refuses the session',
  HELO: 'the server refuses the session',
  STARTTLS: 'the server gives no TLS',
  'MAIL FROM': 'the sender is refused',
  'RCPT TO': 'no recipient is taken',
  DATA: 'the message is refused',
};

/** How the session was to be encrypted. */
export type SendTls = 'starttls' | 'implicit' | 'none';

/** As the listener offers it. Undefined: by default it does. */
export function chooseTls({
  implicitTLS,
  starttls,
}: {
  readonly implicitTLS?: boolean | undefined;
  readonly starttls?: StartTlsPolicy | undefined;
}): SendTls {
  if (implicitTLS === true) return 'implicit';
  return starttls === 'Disabled' ? 'none' : 'starttls';
}

export function describeSendError(error: SendError, tls: SendTls): string {
  const { code = '', originalCode = code, response, command = '' } = error;
  const certificate = readCertificateError(originalCode);
  if (certificate) return describeCertificate(certificate, error);
  if (response !== undefined) {
    const [first = ''] = command.split(' ');
    const what = REFUSED[command] ?? REFUSED[first] ?? `${command} is refused`;
    return `${what}: ${oneLine(response)}${findCure(command, response)}`;
  }
  if (originalCode !== 'ETIMEDOUT' && isSystemCode(originalCode))
    return describeSystemError({ code: originalCode });
  return describeBrokenSession(error, tls);
}

/** A server that answers STARTTLS speaks plain text first, so TLS from the first byte is not what it wants. */
function findCure(command: string, response: string): string {
  // RFC 3207: 454 is for TLS that is not available for now, such as without a certificate.
  if (command === 'STARTTLS' && response.startsWith('4'))
    return ': try again later, and see whether the server has a certificate';
  if (command === 'STARTTLS')
    return ': let the server offer STARTTLS, or send in plain text by --tls none, if nobody on the way may read it';
  // The enhanced code is the same for a login that is wanted, and some servers leave it out.
  if (/^530/.test(response) && /TLS/i.test(response))
    return ': leave --tls none out, and the session uses STARTTLS';
  if (/^530/.test(response)) return ': log in by --user NAME or --token-file FILE';
  return '';
}

/** No reply, and no code that says more. */
function describeBrokenSession({ code = '', reason, message }: SendError, tls: SendTls): string {
  const handshake = nameHandshakeReason(reason ?? message);
  if (handshake === 'no TLS in the answer')
    return tls === 'implicit'
      ? 'the server does not speak TLS from the first byte here: use --tls starttls'
      : 'the TLS handshake breaks: what the server sends after STARTTLS is no TLS';
  if (/EPROTO|ETLS|ESOCKET/.test(code) && handshake !== 'other' && handshake !== 'the connection ended')
    return `the TLS handshake breaks: ${handshake}`;
  switch (code) {
    case 'ETIMEDOUT':
      return 'the server does not answer in time: check host, port and --tls';
    case 'EDNS':
      return 'the name of the host cannot be looked up: check --server';
    case 'ETLS':
      return 'the TLS handshake breaks: the server ends the connection';
    case 'EAUTH':
      return 'the server offers no way to log in that fits';
    default:
      return 'the connection ended too early: check host, port and --tls';
  }
}

function describeCertificate({ cause, says, cure }: CertificateError, error: SendError): string {
  if (cause === 'certificate-host-mismatch') return describeNames(error);
  return `the certificate of the server ${says}: ${cure ?? 'name its authority by --ca FILE'}`;
}

function describeNames({ message }: SendError): string {
  const [, names = ''] = /^.*altnames: (.*)$/s.exec(message) ?? [];
  const own = names.replaceAll('DNS:', '').replaceAll('IP Address:', '');
  const which = own === '' ? 'has another name' : `is for ${oneLine(own)}`;
  return `the certificate of the server ${which}: name the one that it must have by --server-name NAME`;
}
