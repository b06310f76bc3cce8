/**
 * The encoding of ORCPT and ENVID (RFC 3461 section 4). It carries octets. Those of UTF-8 are read as text, and each other
 * one as a lone surrogate, which no text has: so a next hop gets the octets that the client sent. Pure.
 */
const ENCODED = /(?:\+[0-9A-F]{2})+/g;
const TO_ENCODE = /[^!-*,-<>-~]/gu;
const OCTET = /[\udc80-\udcff]/gu;
/** What would stand for the octet 0. */
const FIRST = 0xdc00;

export function decodeXtext(encoded: string): string {
  return encoded.replace(ENCODED, (run) => {
    const octets = Buffer.from(run.replaceAll('+', ''), 'hex');
    const text = octets.toString();
    return Buffer.from(text).equals(octets) ? text : Array.from(octets, standIn).join('');
  });
}

export function encodeXtext(text: string): string {
  return text.replace(TO_ENCODE, encode);
}

/** Encodes nothing but the octets that are no UTF-8. */
export function encodeOctets(text: string): string {
  return text.replace(OCTET, encode);
}

function standIn(octet: number): string {
  return String.fromCharCode(octet < 0x80 ? octet : FIRST + octet);
}

function encode(char: string): string {
  const isOctet = char.match(OCTET) !== null;
  const octets = isOctet ? [char.charCodeAt(0) - FIRST] : [...Buffer.from(char)];
  return octets.map((octet) => `+${octet.toString(16).toUpperCase().padStart(2, '0')}`).join('');
}
