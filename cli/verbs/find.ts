/** The verb `find`. */
import { once, parseNumber, parseTime } from '../usage.ts';
import { outputOption, stateOption, Verb } from '../verb.ts';

const MOST = 10_000;

export const verb = new Verb('find')
  .summary('what became of mail: by address, id, Message-ID or time')
  .description(
    'Tells what became of mail that a running relay had, also when it is gone from the queue: the next hops that were asked, and their answers. The relay keeps this for as long as queue.history says. A message must match everything that is given. The newest comes first.',
  )
  .argument('[who]', 'sender or recipient: an address or a domain')
  .option('--sender <who>', 'by sender: an address, a domain, or <> for bounces', once())
  .option('--recipient <who>', 'by recipient: an address or a domain', once())
  .option('--id <id>', 'by queue id', once())
  .option('--message-id <id>', 'by the field Message-ID, with or without brackets', once())
  .option('--newer <time>', 'messages that came within the last 30m, 2h or 3d', once(parseTime))
  .option('--older <time>', 'messages that came before the last 30m, 2h or 3d', once(parseTime))
  .option('--most <number>', 'so many messages at most', parseNumber(1, MOST), 100)
  .addOption(outputOption('text', 'wide', 'json', 'yaml'))
  .addOption(stateOption())
  .example('find joe@partner.example --newer 2d', 'The mail from and to somebody')
  .example('find --message-id 2a3b@app.example.com -o json', 'One message, for a script')
  .does(async () => (await import('../find.ts')).find);
