/** The verb `queue`, with a verb of its own for each thing to do. */
import { once, parseTime } from '../usage.ts';
import { outputOption, stateOption, Verb } from '../verb.ts';

const acting = () => import('../queue.ts');

/** A verb whose options select messages. */
function filtering(name: string, summary: string): Verb {
  return new Verb(name)
    .summary(summary)
    .description(
      `${summary[0]?.toUpperCase()}${summary.slice(1)}. A message must match all options that are given.`,
    )
    .option('--all', 'every message')
    .option('--held', 'messages that are held, or set aside as damaged')
    .option('--sender <who>', 'by sender: an address, a domain, *.example.com, or <> for bounces', once())
    .option(
      '--domain <domain>',
      'by recipient domain: example.com, or *.example.com for those below it',
      once(),
    )
    .option('--older <time>', 'messages that are in the queue for longer than 30m, 2h or 3d', once(parseTime))
    .addOption(stateOption());
}

/** A verb that acts on named messages, or on those that its options select. */
function selecting(name: string, summary: string): Verb {
  return filtering(name, summary).argument('[ids...]', 'ids of messages; or select them by options');
}

/** A verb that changes the messages. */
function changing(name: string, summary: string): Verb {
  return selecting(name, summary)
    .option('--ids', 'a line for each message, also where options select them')
    .addOption(outputOption('text', 'json', 'yaml'));
}

export const verb = new Verb('queue')
  .summary('the queue of a running relay: list, show, hold, release, retry, remove, export, suppressed, lift')
  .usage('VERB [options]')
  .description('Lists and changes the queue of a running relay, as postqueue and postsuper do for Postfix.')
  .addCommand(
    filtering('list', 'list the messages in the queue, the oldest first')
      .addOption(outputOption('text', 'wide', 'json', 'yaml'))
      .example('queue list --older 2h --domain example.com', 'Mail for one domain that waits for long')
      .does(async () => (await acting()).list),
  )
  .addCommand(
    new Verb('show')
      .summary('list single messages in the same form')
      .description('Lists single messages in the form of "queue list".')
      .argument('<ids...>', 'ids of messages')
      .addOption(outputOption('text', 'wide', 'json', 'yaml'))
      .addOption(stateOption())
      .does(async () => (await acting()).show),
  )
  .addCommand(
    changing('hold', 'hold messages back: they are neither delivered nor returned').does(
      async () => (await acting()).hold,
    ),
  )
  .addCommand(changing('release', 'release held messages').does(async () => (await acting()).release))
  .addCommand(
    changing('retry', 'try to deliver messages now, without waiting for the next attempt').does(
      async () => (await acting()).retry,
    ),
  )
  .addCommand(
    changing('remove', 'remove messages for good; no sender is told')
      .option('--yes', 'remove without asking')
      .does(async () => (await acting()).remove),
  )
  .addCommand(
    selecting('export', 'write messages (RFC 5322) to standard output or into a folder')
      .option('--to <dir>', 'export into this folder, a file ID.eml for each message; made if it is missing')
      .does(async () => (await acting()).exportMessages),
  )
  .addCommand(
    new Verb('suppressed')
      .summary('list recipients that get no mail for some time')
      .description(
        'Lists the recipients that get no mail, because next hops refused them for good (queue.suppression).',
      )
      .option('--all', 'every recipient, and not a screenful alone')
      .addOption(outputOption('text', 'wide', 'json', 'yaml'))
      .addOption(stateOption())
      .does(async () => (await import('../suppressed.ts')).suppressed),
  )
  .addCommand(
    new Verb('lift')
      .summary('let suppressed recipients get mail again')
      .description('Lets recipients get mail again, and forgets their bounces.')
      .argument('<addresses...>', 'addresses of suppressed recipients')
      .addOption(outputOption('text', 'json', 'yaml'))
      .addOption(stateOption())
      .does(async () => (await import('../suppressed.ts')).lift),
  )
  .example('queue list', 'What waits, and why')
  .example('queue retry --domain example.com', 'Try all mail for a domain now');
