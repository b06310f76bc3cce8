/** Faults of mail: next hops that do not take it, names that lead nowhere, and clients that are refused. */
import type { FailureCause } from '#crds/failure.ts';
import { HOP_CURES } from '#crds/hopcures.ts';
import type { HopOptions } from '#test/kit/hop.ts';
import { messageText } from '#test/kit/smtpclient.ts';
import type { Fault } from './fault.ts';
import { HOP_NAME, INBOUND, makeSecret, type Site } from './site.ts';

const send = (site: Site) => site.send();
const VERIFY = { tls: { level: 'Verify', trustConfigMapName: 'hop-ca' } };
/** Well as far as pods go, and mail is stuck. */
const STUCK = { row: /1\/1 +Serving +QueueHealthy/, command: 'wide', plant: send } as const;
/** A recipient was given up: the sender has a report, and nothing waits. */
const GIVEN_UP = { row: /1\/1 +Serving +[A-Z]/, command: 'logs' } as const;

const answers = (step: string, reply: string) => async (): Promise<Partial<HopOptions>> => ({
  answer: (said) => (said.step === step ? reply : undefined),
});
const withPair =
  (names: readonly string[], times: { from?: number; until?: number } = {}) =>
  async ({ authority }: Site): Promise<Partial<HopOptions>> => ({
    pair: await authority.issue(names, times),
  });
const stuck = (name: string, what: RegExp, cause: FailureCause) =>
  new RegExp(`Pod ${name}-0 gets nothing out to ${HOP_NAME}:\\d+: .*${what.source}.*: ${HOP_CURES[cause]}`);
/** Mail goes to the MX hosts of the recipient. */
const to = (address: string) => ({ plant: (site: Site) => site.send({ to: address }) });

export const DELIVERY_FAULTS: readonly Fault[] = [
  {
    name: 'hop-away',
    what: 'A next hop refuses connections',
    ...STUCK,
    hop: 'away',
    shows: stuck('hop-away', /connection refused/, 'connect'),
  },
  {
    name: 'hop-login',
    what: 'A next hop refuses the login of the relay',
    row: /1\/1 +Serving +QueueHealthy/,
    command: 'wide',
    plant: send,
    hop: async ({ authority }) => ({
      pair: await authority.issue([HOP_NAME]),
      offers: ['AUTH PLAIN'],
      answer: ({ step }) => (step === 'AUTH' ? '535 5.7.8 wrong password' : undefined),
    }),
    smartHost: { credentialsSecretName: 'hop-login' },
    prepare: (site) => site.apply(makeSecret('hop-login', { username: 'relay', password: 'wrong' })),
    shows:
      /Pod hop-login-0: Mail for .* is held back: .*535 5.7.8.*: correct the Secret that credentialsSecretName names for it/,
  },
  {
    name: 'hop-no-login',
    what: 'The Secret with the login for a next hop does not exist',
    hop: 'away',
    smartHost: { credentialsSecretName: 'nowhere' },
    row: /1\/1 +Serving +ConfigurationSound/,
    command: 'wide',
    shows:
      /Pod hop-no-login-0: spec.outbound.smartHosts\[0\].credentialsSecretName: Secret "nowhere" does not exist .*: create or complete it, or correct the field/,
  },
  {
    name: 'hop-expired',
    what: 'The certificate of a next hop has ended',
    ...STUCK,
    hop: withPair([HOP_NAME], { from: -30, until: -1 }),
    smartHost: VERIFY,
    shows: stuck('hop-expired', /TLS level Verify is not met: .*expired/, 'certificate-expired'),
  },
  {
    name: 'hop-name',
    what: 'The certificate of a next hop has another name',
    ...STUCK,
    hop: withPair(['other.example.com']),
    smartHost: VERIFY,
    shows: stuck(
      'hop-name',
      /TLS level Verify is not met: .*other\.example\.com/,
      'certificate-host-mismatch',
    ),
  },
  {
    name: 'hop-untrusted',
    what: 'Nobody we trust issued the certificate of a next hop',
    ...STUCK,
    hop: withPair([HOP_NAME]),
    smartHost: { tls: { level: 'Verify' } },
    shows: stuck('hop-untrusted', /TLS level Verify is not met: .*certificate/, 'certificate-untrusted'),
  },
  {
    name: 'hop-plain',
    what: 'A next hop offers no STARTTLS, and level Encrypt wants it',
    ...STUCK,
    hop: async () => ({}),
    smartHost: { tls: { level: 'Encrypt' } },
    shows: stuck('hop-plain', /TLS level Encrypt is not met: .*STARTTLS/, 'starttls-missing'),
  },
  {
    name: 'hop-greylists',
    what: 'A next hop puts mail off for long (greylisting)',
    ...STUCK,
    hop: answers('RCPT', '451 4.7.1 Greylisted, come back later'),
    shows: stuck('hop-greylists', /451 4\.7\.1 Greylisted/, 'reply'),
  },
  {
    name: 'hop-unknown',
    what: 'The name of a next hop does not exist',
    ...STUCK,
    spec: { outbound: { tls: { discover: [] }, smartHosts: [{ host: 'nobody.mail.test' }] } },
    shows:
      /Pod hop-unknown-0 gets nothing out to nobody.mail.test:25: .*the name does not exist: correct the name, or mend the name server of the pods/,
  },
  {
    name: 'dns-silent',
    what: 'The name server does not answer',
    ...STUCK,
    hop: 'away',
    plant: async (site) => {
      for (const protocol of ['udp', 'tcp'] as const) await site.cut('INPUT', protocol, 53, '-s');
      await site.send();
    },
    shows: stuck('dns-silent', /the name server does not answer/, 'dns'),
  },
  {
    name: 'refused-for-good',
    what: 'A next hop refuses a recipient for good (5xx)',
    ...GIVEN_UP,
    plant: send,
    hop: answers('RCPT', '550 5.1.1 No such user'),
    shows: /"event":"bounced".*550 5\.1\.1 No such user/,
  },
  {
    name: 'null-mx',
    what: 'The domain of a recipient takes no mail (null MX)',
    ...GIVEN_UP,
    ...to('b@null.mail.test'),
    shows: /"event":"bounced".*The domain null.mail.test accepts no mail \(null MX\)/,
  },
  {
    name: 'no-domain',
    what: 'The domain of a recipient does not exist',
    ...GIVEN_UP,
    ...to('b@nobody.mail.test'),
    shows: /"event":"bounced".*The domain nobody.mail.test does not exist/,
  },
  {
    name: 'own-mx',
    what: 'The MX of a domain leads back to the relay',
    ...GIVEN_UP,
    ...to('b@own.mail.test'),
    shows: /"event":"bounced".*The best MX of own.mail.test is this relay/,
  },
  {
    name: 'full',
    what: 'The queue is full',
    hop: 'away',
    spec: { queue: { maxMessages: 1 } },
    plant: async (site) => {
      await site.send();
      await site.send();
    },
    row: /1\/1 +Serving +QueueHealthy/,
    command: 'wide',
    shows: /Pod full-0 refuses mail by 452, .*raise queue.storage.size, queue.maxSize or queue.maxMessages/,
  },
  {
    name: 'held',
    what: 'A person holds mail back',
    hop: 'away',
    plant: async (site) => {
      await site.send();
      await site.kubectl('exec', site.pod, '--', 'mailrelay', 'queue', 'hold', '--all');
    },
    row: /1\/1 +Serving +QueueHealthy/,
    command: 'wide',
    shows: /Mail waits for a person: .* has the reason, "mailrelay queue release" lets it go/,
  },
];

/** A sender does not learn why from the status of the relay, and nothing is wrong with the relay. */
const REFUSED = { row: /1\/1 +Serving/, command: 'status' } as const;

export const CLIENT_FAULTS: readonly Fault[] = [
  {
    name: 'not-a-client',
    what: 'A client is refused: it may not relay',
    isQuick: true,
    ...REFUSED,
    spec: { inbound: { ...INBOUND, clients: { networks: ['192.0.2.0/24'] } } },
    plant: send,
    shows: /relaying_denied.*\n.*the client must be in inbound.clients .*/,
  },
  {
    name: 'too-large',
    what: 'A message is too large',
    ...REFUSED,
    spec: { inbound: { ...INBOUND, limits: { messageSize: '1Ki' } } },
    plant: (site) => site.send({ text: `${messageText(site.name)}\r\n${'x'.repeat(70)}`.repeat(20) }),
    shows: /too_large.*\n.*raise inbound.limits.messageSize/,
  },
  {
    name: 'must-encrypt',
    what: 'A client speaks plain text, and STARTTLS is Required',
    ...REFUSED,
    spec: { tls: { issuerRef: { name: 'ca' } }, inbound: { ...INBOUND, starttls: 'Required' } },
    plant: send,
    shows: /starttls_required.*\n.*the client must use STARTTLS, or inbound.clientPolicies .*/,
  },
  {
    name: 'bare-lf',
    what: 'A device ends lines with LF alone',
    ...REFUSED,
    plant: (site) => site.send({ text: messageText(site.name).replaceAll('\r\n', '\n') }),
    shows: /bare_line_break.*\n.*the client must end lines with CRLF, or set lineEndings: Normalize .*/,
  },
];
