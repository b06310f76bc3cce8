/** The verb `tlsrpt`. */
import { outputOption, stateOption, Verb } from '../verb.ts';

export const verb = new Verb('tlsrpt')
  .summary('TLS reports that other mail systems have sent, in plain words')
  .description(
    'Prints a TLS report that another mail system has sent (RFC 8460): how many of its sessions to your hosts were encrypted, and why the others were not. "received" stands for the reports that a relay has received at inbound.tlsReports.address, the latest first. (A file of this name is ./received.)',
  )
  .argument('<file>', 'the attachment of a report (.json.gz, or .json); "-" is standard input; or "received"')
  .addOption(stateOption())
  .addOption(outputOption('text', 'wide', 'json', 'yaml'))
  .example('tlsrpt report.json.gz', 'Read one report')
  .example('tlsrpt received', 'The reports of the relay of "mailrelay run", or of this pod')
  .does(async () => (await import('../tlsrpt.ts')).tlsrpt);
