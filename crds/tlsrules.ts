/** Rules over several fields of spec.tls. They are part of the list in rules.ts. */
import type { MailRelaySpec } from './mailrelay.ts';
import type { Rule } from './rule.ts';
import type { CertificateSource } from './tls.ts';
import { parseDuration } from './units.ts';

const HOUR_SECONDS = 3_600;
/** The default lifetime of a certificate of cert-manager. */
const USUAL_DAYS = 90;
const USUAL_SECONDS = USUAL_DAYS * 24 * HOUR_SECONDS;
const SHORTEST_RENEWAL_SECONDS = 300;
/** The fields that say what cert-manager issues, besides the host name. */
const ASKED = ['duration', 'renewBefore', 'privateKey', 'dnsNames'] as const;
const ISSUER_GROUP = 'cert-manager.io';
const ISSUER_KINDS = ['Issuer', 'ClusterIssuer'];
const KEY_SIZES: Readonly<Record<string, (bits: number) => boolean>> = {
  ECDSA: (bits) => [256, 384, 521].includes(bits),
  RSA: (bits) => bits >= 2048,
  Ed25519: () => false,
};

const sources = ({ tls }: MailRelaySpec): CertificateSource[] => [
  ...(tls ? [tls] : []),
  ...(tls?.internal ? [tls.internal] : []),
];

const sniSources = ({ tls }: MailRelaySpec) => tls?.certificates ?? [];

const unique = (values: readonly unknown[]) => new Set(values).size === values.length;

const isNamed = (source: CertificateSource | undefined) =>
  source?.secretName !== undefined || source?.issuerRef !== undefined;

const isIssuer = (issuerRef: CertificateSource['issuerRef']) =>
  issuerRef?.kind === undefined || ISSUER_KINDS.includes(issuerRef.kind) || isOfOtherGroup(issuerRef);

const isOfOtherGroup = (issuerRef: CertificateSource['issuerRef']) =>
  (issuerRef?.group ?? ISSUER_GROUP) !== ISSUER_GROUP;

const seconds = (text: string | undefined, usual: number) =>
  text === undefined ? usual : (parseDuration(text) ?? Number.NaN);

// The same conditions in CEL; `source` is the path of a certificate source.
const celEverySource = (test: (source: string) => string) =>
  `!has(self.tls) || ((${test('self.tls')}) && (!has(self.tls.internal) || (${test('self.tls.internal')})))`;
const CEL_NO_SNI = '!has(self.tls) || !has(self.tls.certificates)';
/** `test` speaks of the certificate `c`. */
const celEverySni = (test: string) => `${CEL_NO_SNI} || self.tls.certificates.all(c, ${test})`;
const celNamed = (source: string) => `(has(${source}.secretName) || has(${source}.issuerRef))`;
/** CEL does not know days. A rule that builds strings would cost more than the API server allows. */
export const celSeconds = (field: string, usual: number | string) =>
  `(has(${field}) ? (${field}.endsWith('d') ? int(${field}.substring(0, ${field}.size() - 1)) * 86400 : duration(${field}).getSeconds()) : ${usual})`;
const celLength = (source: string) => celSeconds(`${source}.duration`, USUAL_SECONDS);
const celRenewal = (source: string) => celSeconds(`${source}.renewBefore`, SHORTEST_RENEWAL_SECONDS);
const celIssuer = (source: string) =>
  `!has(${source}.issuerRef) || !has(${source}.issuerRef.kind) || ${source}.issuerRef.kind in ['${ISSUER_KINDS.join("', '")}'] || (has(${source}.issuerRef.group) && ${source}.issuerRef.group != '${ISSUER_GROUP}')`;
/** Of every certificate of the spec. */
const celEveryIssuer = (test: (source: string) => string) =>
  `(${celEverySource(test)}) && (${celEverySni(test('c'))}) && (!has(self.dns) || !has(self.dns.mtaSTS) || !has(self.dns.mtaSTS.serve) || (${test('self.dns.mtaSTS.serve')}))`;
const everyIssuer = (spec: MailRelaySpec) =>
  [...sources(spec), ...sniSources(spec), spec.dns?.mtaSTS?.serve].map((source) => source?.issuerRef);
const celSize = (source: string) =>
  `!has(${source}.privateKey) || !has(${source}.privateKey.size) || (has(${source}.privateKey.algorithm) && ${source}.privateKey.algorithm != 'ECDSA' ? ${source}.privateKey.algorithm == 'RSA' && ${source}.privateKey.size >= 2048 : ${source}.privateKey.size in [256, 384, 521])`;

export const TLS_RULES: readonly Rule[] = [
  {
    path: 'spec.tls',
    cel: celEverySource(
      (s) => `has(${s}.issuerRef) || !(${ASKED.map((field) => `has(${s}.${field})`).join(' || ')})`,
    ),
    message:
      'duration, renewBefore, privateKey and dnsNames are asked of cert-manager: set issuerRef beside them, or remove them',
    holds: (spec) =>
      sources(spec).every(
        (source) => source.issuerRef !== undefined || ASKED.every((field) => source[field] === undefined),
      ),
  },
  {
    path: 'spec.tls.issuerRef',
    cel: celEveryIssuer(celIssuer),
    message: `an issuer of ${ISSUER_GROUP} is of kind ${ISSUER_KINDS.join(' or ')}: correct issuerRef.kind, or set issuerRef.group to that of the issuer`,
    holds: (spec) => everyIssuer(spec).every(isIssuer),
  },
  {
    path: 'spec.tls.issuerRef',
    cel: `has(self.kind) || !has(self.group) || self.group == '${ISSUER_GROUP}'`,
    message:
      'an issuer of another group has a kind of its own: set issuerRef.kind beside issuerRef.group, such as StepIssuer, or remove the group',
    tolerated: { field: 'issuerRef', meaning: 'it counts as kind Issuer' },
    holds: (spec) =>
      everyIssuer(spec).every((issuer) => !isOfOtherGroup(issuer) || issuer?.kind !== undefined),
  },
  {
    path: 'spec.tls',
    cel: celEverySource(
      (s) =>
        `${celLength(s)} >= ${HOUR_SECONDS} && ${celRenewal(s)} >= ${SHORTEST_RENEWAL_SECONDS} && ${celRenewal(s)} < ${celLength(s)}`,
    ),
    message: `a certificate is valid for at least 1h, and renewBefore is at least 5m and less than duration (${USUAL_DAYS}d unless set): correct tls.duration or tls.renewBefore`,
    holds: (spec) =>
      sources(spec).every(({ duration, renewBefore }) => {
        const length = seconds(duration, USUAL_SECONDS);
        const renewal = seconds(renewBefore, SHORTEST_RENEWAL_SECONDS);
        return length >= HOUR_SECONDS && renewal >= SHORTEST_RENEWAL_SECONDS && renewal < length;
      }),
  },
  {
    path: 'spec.tls',
    cel: celEverySource(celSize),
    message:
      'the size of the private key does not suit its algorithm: set privateKey.size to 256, 384 or 521 for ECDSA, to 2048 to 8192 for RSA, or remove it for Ed25519',
    holds: (spec) =>
      sources(spec).every(
        ({ privateKey }) =>
          privateKey?.size === undefined ||
          KEY_SIZES[privateKey.algorithm ?? 'ECDSA']?.(privateKey.size) === true,
      ),
  },
  {
    path: 'spec.tls',
    cel: `!has(self.tls) || !has(self.tls.internal) || (${celNamed('self.tls')} && ${celNamed('self.tls.internal')})`,
    message:
      'tls.internal is a second certificate: set tls.internal.issuerRef or tls.internal.secretName, beside tls.issuerRef or tls.secretName',
    holds: ({ tls }) => tls?.internal === undefined || (isNamed(tls) && isNamed(tls.internal)),
  },
  {
    path: 'spec.tls',
    cel: '!has(self.tls) || !has(self.tls.internal) || !has(self.tls.secretName) || !has(self.tls.internal.secretName) || self.tls.secretName != self.tls.internal.secretName',
    message: 'two certificates need two Secrets: give tls.internal.secretName another name',
    holds: ({ tls }) =>
      tls?.secretName === undefined ||
      tls.internal?.secretName === undefined ||
      tls.secretName !== tls.internal.secretName,
  },
  {
    path: 'spec.tls',
    cel: celEverySni('has(c.secretName) != has(c.issuerRef)'),
    message:
      'each of tls.certificates comes from one place: set secretName, for a Secret that you fill, or issuerRef, for one that cert-manager fills',
    holds: (spec) =>
      sniSources(spec).every(
        ({ secretName, issuerRef }) => (secretName === undefined) !== (issuerRef === undefined),
      ),
  },
  {
    path: 'spec.tls',
    cel: `${CEL_NO_SNI} || ${celNamed('self.tls')}`,
    message:
      'tls.certificates need the certificate of hostname beside them, for clients that ask for no name or another one: set tls.issuerRef or tls.secretName',
    holds: (spec) => sniSources(spec).length === 0 || isNamed(spec.tls),
  },
  {
    path: 'spec.tls',
    cel: celEverySni(
      'c.hostnames.all(h, c.hostnames.exists_one(o, o == h) && self.tls.certificates.exists_one(d, h in d.hostnames))',
    ),
    message: 'a name has one certificate: write each of tls.certificates[].hostnames only once',
    holds: (spec) => unique(sniSources(spec).flatMap(({ hostnames }) => hostnames)),
  },
  {
    path: 'spec.tls',
    cel: celEverySni(
      `!(self.hostname in c.hostnames) && ${['self.tls', 'self.tls.internal']
        .map(
          (tls) => `(!has(${tls}) || !has(${tls}.dnsNames) || !${tls}.dnsNames.exists(n, n in c.hostnames))`,
        )
        .join(' && ')}`,
    ),
    message:
      'hostname, tls.dnsNames and tls.internal.dnsNames have certificates already: remove the name there, or from tls.certificates[].hostnames',
    holds: (spec) => {
      const taken = [spec.hostname, ...sources(spec).flatMap(({ dnsNames = [] }) => dnsNames)];
      return sniSources(spec).every(({ hostnames }) => !hostnames.some((name) => taken.includes(name)));
    },
  },
  {
    path: 'spec.tls',
    cel: celEverySni(
      `!has(c.secretName) || (self.tls.certificates.exists_one(d, has(d.secretName) && d.secretName == c.secretName) && ${[
        'self.tls',
        'self.tls.internal',
      ]
        .map((tls) => `(!has(${tls}) || !has(${tls}.secretName) || ${tls}.secretName != c.secretName)`)
        .join(' && ')})`,
    ),
    message:
      'each Secret has one certificate: write all names of a certificate into one of tls.certificates, and name no Secret there that tls or tls.internal names',
    holds: (spec) => {
      const named = sniSources(spec).flatMap(({ secretName }) => secretName ?? []);
      return unique(named) && !sources(spec).some(({ secretName = '' }) => named.includes(secretName));
    },
  },
];
