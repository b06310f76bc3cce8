/**
 * The key exchange group of a server's handshake. Node reports it only to clients (`getEphemeralKeyInfo`). On a server
 * it is in the session that OpenSSL serializes (SSL_SESSION, field [19] `kex_group`), as the IANA number of the group.
 * Undefined if the handshake had no group (RSA key exchange) or the runtime writes another form. Pure.
 */

/** https://www.iana.org/assignments/tls-parameters, "TLS Supported Groups", in OpenSSL's spelling. */
const NAMES: Readonly<Record<number, string>> = {
  23: 'secp256r1',
  24: 'secp384r1',
  25: 'secp521r1',
  29: 'X25519',
  30: 'X448',
  4587: 'SecP256r1MLKEM768',
  4588: 'X25519MLKEM768',
  4589: 'SecP384r1MLKEM1024',
};

const SEQUENCE = 0x30;
const INTEGER = 0x02;
/** Context-specific, constructed, number 19. */
const KEX_GROUP = 0xb3;

/**
 * `session` is the result of `TLSSocket.getSession()`. A group without a name here is `other`, because the number of
 * labels must be small.
 */
export function groupOfSession(session: Buffer | undefined): string | undefined {
  const whole = session && elementAt(session, 0);
  if (whole?.tag !== SEQUENCE) return undefined;
  for (let at = 0; at < whole.content.length; ) {
    const element = elementAt(whole.content, at);
    if (!element) return undefined;
    if (element.tag === KEX_GROUP) return readGroupName(elementAt(element.content, 0));
    at = element.end;
  }
  return undefined;
}

function readGroupName(integer: Element | undefined): string | undefined {
  if (integer?.tag !== INTEGER || integer.content.length === 0 || integer.content.length > 4)
    return undefined;
  const number = integer.content.readUIntBE(0, integer.content.length);
  return number === 0 ? undefined : (NAMES[number] ?? 'other');
}

interface Element {
  readonly tag: number;
  readonly content: Buffer;
  /** The position of the next element. */
  readonly end: number;
}

/** Reads one DER element (X.690 section 8.1, tags below 31). Undefined if the bytes end too soon. */
function elementAt(bytes: Buffer, at: number): Element | undefined {
  const [tag, first] = [bytes[at], bytes[at + 1]];
  if (tag === undefined || first === undefined) return undefined;
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
  const begin = at + 2 + lengthBytes;
  if (lengthBytes > 4 || begin > bytes.length) return undefined;
  const length = lengthBytes === 0 ? first : bytes.readUIntBE(at + 2, lengthBytes);
  const end = begin + length;
  return end > bytes.length ? undefined : { tag, content: bytes.subarray(begin, end), end };
}
