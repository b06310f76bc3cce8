/**
 * `mailrelay explain`: which rule of a manifest decides about the mail for an address, or about the sessions of a
 * client; and what a word of the status, of the events or of the log means. For an address it asks DNS as a delivery does, and connects
 * to the next hops only with --connect. A relay that runs here adds what only it knows (explainrunning.ts). It never sends a message.
 */
import { isRouting, printMailbox, readGivenMailbox } from '#relay/addresses/address.ts';
import { findLadder, type Ladder } from '#relay/delivery/ladder.ts';
import { compileRoutes } from '#relay/delivery/route.ts';
import { findSchedule } from '#relay/queue/retry.ts';
import { describeSessions, isClient, listSessions } from './explainclient.ts';
import { describeLadder } from './explainladder.ts';
import { readOrders } from './explainorders.ts';
import { describeSchedule } from './explainretry.ts';
import { askRunning, describeIdentity, findStateDir } from './explainrunning.ts';
import { describeWay, findWay } from './explaintext.ts';
import { explainWord, isWord } from './explainword.ts';
import { print } from './output.ts';
import type { NamedEndpoint } from './relaystatus.ts';
import { describeSlowed } from './statustext.ts';
import { row } from './terminal.ts';
import { cannotBe, UsageError } from './usage.ts';
import type { Format } from './verb.ts';

/** Such as 300.1.1.1, 192.0.2.0/24, 192.0.2.7:25, fe80:::1 or 2001:db8::zz. */
const LOOKS_LIKE_IP = /^[\d./]*\d[\d./]*(:\d*)?$|^[^@\s[]*:[^@\s]*:[^@\s]*$/;

interface ExplainOptions {
  readonly file?: string;
  readonly from: string;
  readonly connect?: boolean;
  /** Of a running relay. Absent: one may run here. */
  readonly address?: string;
  readonly adminPort?: number;
  /** The folder of a running relay. Absent: one may run here. */
  readonly state?: string;
  readonly output: Format;
}

export async function explain(
  words: readonly string[],
  { file, from, connect = false, address, adminPort, state, output }: ExplainOptions,
): Promise<number> {
  const [, second] = words;
  const what = words.join(' ');
  const isKnown = isWord(what);
  if (second !== undefined && !isKnown)
    throw new UsageError(`"${second}" is too much: name one address, one word, or a reply such as 530 5.7.0`);
  if (LOOKS_LIKE_IP.test(what) && !isClient(what) && !isKnown)
    throw new UsageError(`The IP address "${what}" cannot be read: write it as 192.0.2.7 or 2001:db8::7`);
  const {
    value,
    text,
    isReached = true,
  }: Explained = isKnown
    ? explainWord(what)
    : await explainAddress(what, {
        from: readSender(from),
        file,
        connect,
        state,
        relay: { address, adminPort },
      });
  await print(output, value, () => text);
  return isReached ? 0 : 1;
}

interface Question {
  readonly from: string;
  readonly file: string | undefined;
  readonly connect: boolean;
  readonly state: string | undefined;
  readonly relay: NamedEndpoint;
}

interface Explained {
  readonly value: unknown;
  readonly text: string;
  /** False: connections were wanted, and no next hop gave a session. */
  readonly isReached?: boolean;
}

async function explainAddress(
  what: string,
  { from, file, connect, state, relay }: Question,
): Promise<Explained> {
  if (isClient(what)) {
    const sessions = listSessions((await readOrders(file)).policy, what);
    return { value: sessions, text: describeSessions(what, sessions) };
  }
  const to = readRecipient(what);
  const { policy, materials } = await readOrders(file);
  const way = findWay(policy, from, to);
  const ladder = await findLadder(policy, materials, {
    from,
    to,
    connects: connect,
    stateDir: findStateDir(policy, file, state),
  });
  const destination = compileRoutes(policy)(from, to);
  // Where nothing waits nothing is tried again.
  const waits = destination.kind !== 'local' && policy.queue.mode !== 'CutThrough';
  const schedule = waits ? findSchedule(policy, destination, ladder.provider) : null;
  const status = waits || connect ? await askRunning({ ...relay, state }) : null;
  const place = ladder.provider?.name ?? destination.name;
  const slowed = (waits && status?.queue.slowed?.find((one) => one.destination === place)) || null;
  const identity = describeIdentity(policy, ladder, status);
  const texts = [
    describeWay(way),
    describeLadder(ladder),
    ...identity.map((text) => `${row('note', text)}\n`),
    ...(schedule ? [describeSchedule(schedule)] : []),
    ...(slowed ? [`${row('slowed', describeSlowed(slowed))}\n`] : []),
  ];
  const isReached = !connect || destination.kind === 'local' || hasSession(ladder);
  return { value: { ...way, ladder, identity, schedule, slowed }, text: texts.join(''), isReached };
}

function hasSession({ hosts }: Ladder): boolean {
  return hosts.some(({ connection }) => connection?.kind === 'session');
}

/** As the relay reads RCPT. A domain alone stands for any address in it. */
function readRecipient(text: string): string {
  const isDomain = !text.includes('@');
  const mailbox = readGivenMailbox(isDomain ? `anyone@${text}` : text);
  if (!mailbox || mailbox.domain === '')
    throw new UsageError(`"${text}" is no mail address: write it as joe@example.com`);
  if (isRouting(mailbox))
    throw new UsageError(
      `"${text}" could lead the mail elsewhere, so the relay refuses it: write the recipient without %, !, : or a quoted @`,
    );
  return isDomain ? mailbox.domain : printMailbox(mailbox);
}

/** The null sender is written as <>, or as nothing. */
function readSender(text: string): string {
  if (text === '' || text === '<>') return '';
  const mailbox = readGivenMailbox(text);
  if (!mailbox || mailbox.domain === '')
    throw cannotBe('--from', text, 'it must be a mail address, such as joe@example.com, or <>');
  return printMailbox(mailbox);
}
