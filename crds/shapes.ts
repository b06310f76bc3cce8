/**
 * The shapes that several fields of a MailRelay share: names, hosts, ports, networks, quantities. Each has a bound,
 * because CEL rules have a cost. Each fault text completes a sentence.
 */
import { z } from 'zod';
import { LINE_ENDINGS, STARTTLS_POLICIES } from './policyfile.ts';
import { IP_FAMILIES } from './policyoutbound.ts';
import { CPU_PATTERN, DURATION_PATTERN, POSITIVE_SIZE_PATTERN, SIZE_PATTERN } from './units.ts';

const HOST_PATTERN = '^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?(\\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)*$';
const DOMAIN_PATTERN = `^(\\*\\.)?${HOST_PATTERN.slice(1)}`;
const BYTE = '(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
/** An IPv6 address is whatever has a colon: the system reads it more closely. */
const ADDRESS_PATTERN = `^${BYTE}(\\.${BYTE}){3}$|^[0-9a-fA-F.]*:[0-9a-fA-F.:]*$`;
/**
 * The last label of a name is no number (192.0.2.1, 7, 0x7f): programs read such a name as an IP address, and the relay
 * refuses it in addresses (relay/addresses/address.ts). RE2 of the API server cannot look ahead, so what may be is spelt out.
 */
const NAMED_PATTERN =
  '(^|[.@])([^0-9.@]|0x[0-9a-f]*[^0-9a-f.@]|[1-9][0-9]*[^0-9.@]|0([^0-9x.@]|[0-9]+[^0-9.@]))[^.@]*\\.?$';
/** White space and what nobody sees, spelt out because `\\s` is not the same in JavaScript and RE2. */
export const UNSEEN_CHARACTERS =
  '\\s\\x00-\\x1f\\x7f-\\xa0\u1680\u2000-\u200b\u2027-\u202f\u205f\u2060\u3000\ufeff\ufffd';
/** RFC 5321 section 4.5.3.1.3, less brackets and a spare byte: the relay reads no longer one. */
export const LONGEST_ADDRESS = 253;
const OBJECT_NAME_PATTERN = '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$';
const LABEL_KEY_PATTERN = '^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$';
const LABEL_VALUE_PATTERN = '^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$';
const MOST_ENTRIES = 64;

/** `what` completes the sentence "must be ...", which lint and `mailrelay run` print. */
export const text = (pattern: string, maxLength: number, what: string) =>
  z.string().min(1).max(maxLength).regex(new RegExp(pattern), `must be ${what}`);
/** The same, and a second pattern, which says its own fault. RE2 of the API server cannot have both in one. */
const twice = (
  [pattern, maxLength, what]: Parameters<typeof text>,
  { also, fault }: { also: string; fault: string },
) => {
  const [shape, second] = [new RegExp(pattern), new RegExp(also)];
  return text(pattern, maxLength, what)
    .refine((value) => !shape.test(value) || second.test(value), `must be ${fault}`)
    .meta({ allOf: [{ pattern: also }] });
};
const NO_NUMBER = 'a name whose last part is no number';
/** `besides` may be too. */
export const named = (pattern: string, maxLength: number, what: string, besides = '') =>
  twice([pattern, maxLength, what], { also: `${NAMED_PATTERN}${besides}`, fault: NO_NUMBER });
/** As NAMED_PATTERN, in any case. */
const URL_NAME =
  '([a-zA-Z0-9_-]+\\.)*([a-zA-Z_-]|0[xX][0-9a-fA-F]*[g-zG-Z_-]|[1-9][0-9]*[a-zA-Z_-]|0([a-wyzA-WYZ_-]|[0-9]+[a-zA-Z_-]))[a-zA-Z0-9_-]*\\.?';
const PORT = '([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])';
const URL_PATTERN = `^https?://(\\[[0-9a-fA-F:.]+\\]|${BYTE}(\\.${BYTE}){3}|${URL_NAME})(:${PORT})?([/?#].*)?$`;
export const url = (pattern: string, maxLength: number, what: string) =>
  twice([pattern, maxLength, what], {
    also: URL_PATTERN,
    fault: 'a URL with a host name whose last part is no number, or an IP address, and a port up to 65535',
  });
export const host = () => named(HOST_PATTERN, 253, 'a host name in lower case, such as relay.example.com');
/** A next hop may also be an address. */
export const hopHost = () =>
  named(
    `${HOST_PATTERN.slice(0, -1)}\\.?$|${ADDRESS_PATTERN}`,
    254,
    'a host name in lower case (with a final dot: no search list is asked), or an address',
    `|${ADDRESS_PATTERN}`,
  );
export const objectName = () =>
  text(
    OBJECT_NAME_PATTERN,
    253,
    'the name of a Kubernetes object: lower-case letters, digits, hyphens and dots',
  );
/** Of a namespace, which is a label of DNS. */
export const namespaceName = () =>
  text(
    '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
    63,
    'the name of a namespace: lower-case letters, digits and hyphens',
  );
export const port = () => z.int().min(1).max(65_535);
export const networks = () =>
  z
    .array(text('^[0-9a-fA-F.:]+(/[0-9]{1,3})?$', 49, 'an address or a CIDR, such as 10.20.0.0/16'))
    .min(1)
    .max(64);
/** The container runtime reads it more closely. */
export const image = () =>
  text(
    '^[a-zA-Z0-9][a-zA-Z0-9._/:@-]*$',
    512,
    'the name of a container image, such as registry.example/unbound:1.22',
  );
/** One of each family at most: rules.ts looks closer. */
export const sourceAddresses = () =>
  z
    .array(text('^[0-9a-fA-F.:]+$', 45, 'an IP address, such as 192.0.2.7 or 2001:db8::7'))
    .min(1)
    .max(2);
export const cidr = () => text('^[0-9a-fA-F.:]+/[0-9]{1,3}$', 49, 'a CIDR, such as 203.0.113.0/24');
/** Of outbound.resolver. rules.ts looks closer. */
export const serverAddress = () =>
  text(
    '^[0-9a-fA-F.:]+$|^\\[[0-9a-fA-F.:]+\\](:[0-9]{1,5})?$',
    53,
    'an IP address with an optional port, such as 127.0.0.1, 127.0.0.1:5353 or [::1]:5353',
  );
export const domains = (max: number) => z.array(host()).min(1).max(max);
/** `*.example.com` stands for every sub-domain of example.com, but not for example.com. */
export const domainPatterns = (max: number) =>
  z
    .array(named(DOMAIN_PATTERN, 255, 'a domain in lower case, such as example.com or *.example.com'))
    .min(1)
    .max(max);
/** An address, or a pattern as in domainPatterns. */
export const senderPatterns = (max: number) =>
  z
    .array(
      named(
        `${DOMAIN_PATTERN}|^[^@${UNSEEN_CHARACTERS}]{1,64}@${HOST_PATTERN.slice(1)}`,
        LONGEST_ADDRESS,
        'a domain such as example.com or *.example.com, or an address',
      ),
    )
    .min(1)
    .max(max);
/** An address that the relay can use unchanged: see `relayable` of the listener. */
export const address = () =>
  named(
    `^[^@%!\\\\:;,<>"()\\[\\]${UNSEEN_CHARACTERS}]{1,64}@${HOST_PATTERN.slice(1)}`,
    LONGEST_ADDRESS,
    'an address without quotes whose domain is in lower case, such as archive@example.com',
  );
export const size = () => text(SIZE_PATTERN, 16, 'a quantity of bytes, such as 25Mi');
export const positiveSize = () =>
  text(POSITIVE_SIZE_PATTERN, 16, 'a quantity of bytes above 0, such as 25Mi');
export const cpu = () => text(CPU_PATTERN, 16, 'an amount of cores, such as 500m, 2 or 1.5');
export const duration = () => text(DURATION_PATTERN, 16, 'a duration, such as 5d, 36h or 1h30m');
export const ipFamily = () => z.enum(IP_FAMILIES);
export const starttls = () => z.enum(STARTTLS_POLICIES);
export const lineEndings = () => z.enum(LINE_ENDINGS);
export const labelKey = () => text(LABEL_KEY_PATTERN, 317, 'a name such as example.com/mail');
/** May be empty, because many labels have an empty value. */
export const labelValue = () =>
  z
    .string()
    .max(63)
    .regex(
      new RegExp(LABEL_VALUE_PATTERN),
      'must be the value of a label: letters, digits, hyphens, dots and underscores',
    );
/** A CRD cannot check the keys of a map. The API server checks them when the operator applies the objects. */
export const map = <Value extends z.ZodType>(value: Value) =>
  z
    .record(z.string(), value, 'must be an object of names and values')
    .refine(
      (entries) => Object.keys(entries).length <= MOST_ENTRIES,
      `must have at most ${MOST_ENTRIES} entries`,
    )
    .meta({ maxProperties: MOST_ENTRIES });
