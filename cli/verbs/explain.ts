/** The verb `explain`. */
import { once, parseHost, parsePort } from '../usage.ts';
import { outputOption, Suggested, stateOption, Verb } from '../verb.ts';

export const verb = new Verb('explain')
  .summary('which rule decides for an address or a client; what a condition reason means')
  .description(`A mail address: shows from whom the MailRelay of a manifest takes mail for it, what the address maps make of it or why they refuse it, which route and next hops the mail goes by, at which TLS level, and which part of the spec decides. It asks DNS as a delivery does: the MX hosts, whether DNSSEC proves them, their addresses and TLSA records, and the MTA-STS policy of the domain, or the one that a relay here still holds. It shows what each failure leads to, when mail that waits is tried again, and whether a relay that runs here has suppressed the recipient or sends more slowly, because the receiver asked for fewer messages.

An IP address: shows the STARTTLS policy and the oldest TLS version of this client on each listener, which part of the spec decides them, and whether its network may relay.

A word: shows cause and cure of a condition reason, such as CertificateMissing, of the rule that refused a client, such as relaying_denied, of an alert, of an event, of a reply to a client, such as 530 5.7.0, or of the code of a provider that refuses our login, such as 5.7.139.`)
  .addArgument(
    new Suggested('<what...>', 'a mail address, an IP address of a client, or a word', async () =>
      (await import('../explainword.ts')).listWords(),
    ),
  )
  .option('-f, --file <path>', 'file or folder of YAML documents (default: the policy of the pod)', once())
  .option(
    '--connect',
    'connect to each next hop, make the TLS handshake and verify it; no login, no message. Exit status 1 when an address gets no session',
  )
  .option('--from <address>', 'the sender, where there are routes by sender (default: the null sender)', '')
  .option(
    '--address <host>',
    'where a running relay serves its status (default: this machine or pod)',
    parseHost,
  )
  .option('--admin-port <port>', 'its port', parsePort)
  .addOption(stateOption())
  .addOption(outputOption('text', 'json', 'yaml'))
  .example('explain joe@partner.example -f relay.yaml', 'The way of the mail for an address')
  .example('explain 192.0.2.7 -f relay.yaml', 'The STARTTLS policy of a client')
  .example('explain CertificateMissing', 'Cause and cure of a reason')
  .does(async () => (await import('../explain.ts')).explain);
