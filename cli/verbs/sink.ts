/** The verb `sink`. */
import { Option } from 'commander';
import { parseListenAddress, parsePort } from '../usage.ts';
import { outputOption, Verb } from '../verb.ts';

export const verb = new Verb('sink')
  .summary('a next hop for trying things: it takes every message and passes none on')
  .description(
    'Takes mail on one port, for every recipient and with every login, and shows each message: its envelope, how it was encrypted, and the file that has it. Nothing is passed on. The last hundred messages are kept, each with a file of what is known of it (JSON).',
  )
  .option(
    '--listen <address>',
    'address to listen at; at another than this machine anybody can fill it',
    parseListenAddress,
    '127.0.0.1',
  )
  .option('--port <port>', 'port to listen at', parsePort, 2525)
  .addOption(
    new Option('--tls <mode>', 'what is offered to clients')
      .choices(['starttls', 'implicit', 'none'])
      .default('starttls'),
  )
  .option('--cert <file>', 'certificate for TLS (default: a throw-away one that nobody can verify)')
  .option('--key <file>', 'private key of that certificate')
  .option('--keep <dir>', 'folder of the messages', '.state/sink')
  .addOption(outputOption('text', 'json'))
  .example('sink', 'The next hop of examples/mailrelay.yaml')
  .example(
    'sink --tls none --port 2526',
    'A next hop without STARTTLS: what does a relay do that must encrypt?',
  )
  .does(async () => (await import('../sink.ts')).sink);
