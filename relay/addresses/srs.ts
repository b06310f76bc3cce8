/**
 * The Sender Rewriting Scheme: forwarded mail gets a sender in our domain, so that it passes SPF, and bounces to that
 * sender come back and go on to the original one. The forms, the hash and the time-stamp are those of the reference:
 * SRS0=HASH=TT=domain=local, and SRS1=HASH=domain==... for an address that another forwarder has rewritten before. Pure.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { type Mailbox, printMailbox, readMailbox } from './address.ts';

export interface SrsKeys {
  /** Signs. */
  readonly key: string;
  /** Still verify: keys from before a roll-over. */
  readonly old: readonly string[];
}

const HASH_CHARACTERS = 4;
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const DAY_MS = 86_400_000;
/** Days that the time-stamp can tell apart. */
const DAYS = BASE32.length ** 2;
/** A bounce is late after the longest retry of usual queues. As in the reference. */
const LONGEST_DAYS = 21;
/** In octets, with the quotes (RFC 5321 section 4.5.3.1.1). */
const LONGEST_LOCAL = 64;

const SRS0 = /^SRS0[=+-](.*)$/is;
const SRS1 = /^SRS1[=+-](.*)$/is;
const SRS0_PARTS = /^([^=]+)=([^=]+)=([^=]+)=(.+)$/s;
const SRS1_PARTS = /^([^=]+)=([^=]+)=([=+-].+)$/s;

export function isSrs({ local }: Mailbox): boolean {
  return SRS0.test(local) || SRS1.test(local);
}

/** The sender in our domain. Undefined if it would be longer than a local part may be. */
export function signSender(
  address: string,
  domain: string,
  { key }: SrsKeys,
  nowMs: number,
): string | undefined {
  const mailbox = readMailbox(address);
  const local = mailbox && (signAgain(mailbox, key) ?? signFirst(mailbox, key, nowMs));
  if (local === undefined) return undefined;
  const printed = printMailbox({ local, isQuoted: false, domain: '' });
  return Buffer.byteLength(printed) > LONGEST_LOCAL ? undefined : `${printed}@${domain}`;
}

/** The address to which a bounce goes on. Undefined if we did not sign it, or if it is too old. */
export function readReturn({ local }: Mailbox, keys: SrsKeys, nowMs: number): string | undefined {
  const [, first] = SRS0.exec(local) ?? [];
  if (first !== undefined) return readFirst(first, keys, nowMs);
  const [, again = ''] = SRS1.exec(local) ?? [];
  const [, hash = '', domain = '', rest = ''] = SRS1_PARTS.exec(again) ?? [];
  return isSigned(hash, [domain, rest], keys) ? normalize(`SRS0${rest}`, domain) : undefined;
}

function signFirst({ local, domain }: Mailbox, key: string, nowMs: number): string {
  const stamp = printDay(nowMs);
  return `SRS0=${sign([stamp, domain, local], key)}=${stamp}=${domain}=${local}`;
}

/** SRS1 keeps the first forwarder, which knows the original sender. A third one takes the place of the second. */
function signAgain({ local, domain }: Mailbox, key: string): string | undefined {
  const again = SRS1_PARTS.exec(SRS1.exec(local)?.[1] ?? '');
  const [forwarder, rest] = again ? [again[2] ?? '', again[3] ?? ''] : [domain, local.slice('SRS0'.length)];
  if (!again && !SRS0.test(local)) return undefined;
  return `SRS1=${sign([forwarder, rest], key)}=${forwarder}=${rest}`;
}

function readFirst(text: string, keys: SrsKeys, nowMs: number): string | undefined {
  const [, hash = '', stamp = '', domain = '', local = ''] = SRS0_PARTS.exec(text) ?? [];
  if (!isSigned(hash, [stamp, domain, local], keys) || !isRecent(stamp, nowMs)) return undefined;
  return normalize(local, domain);
}

function normalize(local: string, domain: string): string | undefined {
  const mailbox = readMailbox(`a@${domain}`);
  return mailbox && printMailbox({ ...mailbox, local });
}

/** Without regard to case, because hosts on the way may change it. */
function sign(parts: readonly string[], key: string): string {
  const text = parts.join('').toLowerCase();
  return createHmac('sha1', key).update(text).digest('base64').slice(0, HASH_CHARACTERS);
}

function isSigned(hash: string, parts: readonly string[], { key, old }: SrsKeys): boolean {
  const given = Buffer.from(hash.toLowerCase());
  return [key, ...old].some((one) => {
    const right = Buffer.from(sign(parts, one).toLowerCase());
    return given.length === right.length && timingSafeEqual(given, right);
  });
}

function printDay(nowMs: number): string {
  const day = Math.floor(nowMs / DAY_MS) % DAYS;
  return `${BASE32[Math.floor(day / BASE32.length)]}${BASE32[day % BASE32.length]}`;
}

function isRecent(stamp: string, nowMs: number): boolean {
  const [high = -1, low = -1] = [...stamp.toUpperCase()].map((letter) => BASE32.indexOf(letter));
  if (stamp.length !== 2 || high < 0 || low < 0) return false;
  const age = (Math.floor(nowMs / DAY_MS) - (high * BASE32.length + low)) % DAYS;
  return (age + DAYS) % DAYS <= LONGEST_DAYS;
}
