/**
 * `mailrelay explain`: which rule of a manifest decides about the mail for an address, or about the sessions of a
 * client; and what a word of the status, of the events or of the log means. For an address it asks DNS as a delivery does, and connects
 * to the next hops only with --connect. A relay that runs here adds what only it knows (explainrunning.ts). It never sends a message.
 */
import type { PodStatus } from '#crds/podstatus.ts';
import type { Policy } from '#crds/policyfile.ts';
import { isRouting, printMailbox, readGivenMailbox } from '#relay/addresses/address.ts';
import { findLadder, type Ladder } from '#relay/delivery/ladder.ts';
import { compileRoutes } from '#relay/delivery/route.ts';
import { type Becomes, findBecomes } from '#relay/listener/becomes.ts';
import { findSchedule } from '#relay/queue/retry.ts';
import {
  describeBecomes,
  describeRefused,
  describeSuppressed,
  describeUnseen,
  describeWrongTables,
  findSuppressed,
  withoutUnseen,
} from './explainbecomes.ts';
import { describeSessions, isClient, listSessions } from './explainclient.ts';
import { describeLadder } from './explainladder.ts';
import { type Orders, readOrders, type Unseen } from './explainorders.ts';
import { describeSchedule } from './explainretry.ts';
import {
  askRunning,
  askSuppressed,
  describeIdentity,
  findStateDir,
  type Suppression,
} from './explainrunning.ts';
import { describeTakenFrom, describeWay, findTakenFrom, findWay } from './explaintext.ts';
import { explainWord, isWord } from './explainword.ts';
import { print } from './output.ts';
import type { NamedEndpoint } from './relaystatus.ts';
import { describeSlowed } from './statustext.ts';
import { row } from './terminal.ts';
import { cannotBe, UsageError } from './usage.ts';
import type { Format } from './verb.ts';

/** Such as 300.1.1.1, 192.0.2.0/24, 192.0.2.7:25, fe80:::1 or 2001:db8::zz. */
const LOOKS_LIKE_IP = /^[\d./]*\d[\d./]*(:\d*)?$|^[^@\s[]*:[^@\s]*:[^@\s]*$/;

/** Of many addresses of an alias the first ones are explained. */
const EXPLAINED = 5;

interface Addresses {
  readonly from: string;
  readonly to: string;
}

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

async function explainAddress(what: string, question: Question): Promise<Explained> {
  const { from, file, connect } = question;
  if (isClient(what)) {
    const sessions = listSessions((await readOrders(file)).policy, what);
    return { value: sessions, text: describeSessions(what, sessions) };
  }
  const to = readRecipient(what);
  const orders = await readOrders(file);
  const takenFrom = findTakenFrom(orders.policy, to);
  const head = describeTakenFrom(from, to, takenFrom);
  const { becomes, unseen } = findAddresses(orders, from, to);
  const { wrongTables } = orders;
  const notes = `${describeUnseen(unseen)}${describeWrongTables(wrongTables)}`;
  if (becomes.kind === 'refused') {
    const value = { to, from, takenFrom, refused: becomes.reply, wrongTables };
    return {
      value,
      text: `${head}${notes}${describeRefused(becomes)}`,
      isReached: !connect,
    };
  }
  const { kind: _, ...addresses } = becomes;
  const ways = await explainWays(orders, addresses, question);
  const [first, ...others] = ways.map(({ value }) => value);
  const isSame = addresses.to.length === 1 && addresses.to[0] === to;
  const texts = ways.map(({ value, text }) => (isSame ? text : `\n${value.to}\n${text}`));
  const more = addresses.to.length - ways.length;
  const end = more > 0 ? `\nand ${more} more, whose ways are not told here: ask for one of them\n` : '';
  return {
    value: { ...first, to, from, takenFrom, becomes: { ...addresses, unseen, wrongTables }, others },
    text: [head, notes, describeBecomes({ from, to }, becomes), ...texts, end].join(''),
    isReached: ways.every(({ isReached }) => isReached),
  };
}

/** Where an object that is not here would be asked, what is known without it counts. */
function findAddresses(
  { policy, materials, tables, unseen }: Orders,
  from: string,
  to: string,
): { readonly becomes: Becomes; readonly unseen: readonly Unseen[] } {
  const find = (known: Policy) =>
    findBecomes(known, { secrets: materials.secrets, tables }, { from, to, at: Date.now() });
  const becomes = find(policy);
  const isUnseen = becomes.kind === 'refused' && becomes.reply.reason === 'map_unreadable';
  if (!isUnseen || unseen.length === 0) return { becomes, unseen: [] };
  return { becomes: find(withoutUnseen(policy, unseen)), unseen };
}

async function explainWays(
  { policy, materials }: Orders,
  { from, to }: { readonly from: string; readonly to: readonly string[] },
  { file, connect, state, relay }: Question,
) {
  const stateDir = findStateDir(policy, file, state);
  const suppression = await askSuppressed(policy, stateDir);
  const isAsked = policy.queue.mode !== 'CutThrough' || connect;
  const status = isAsked ? await askRunning({ ...relay, state }) : null;
  return Promise.all(
    to.slice(0, EXPLAINED).map(async (one) => {
      const ladder = await findLadder(policy, materials, { from, to: one, connects: connect, stateDir });
      return describeAll(policy, { from, to: one }, { ladder, status, connect, suppression });
    }),
  );
}

interface Found {
  readonly ladder: Ladder;
  /** null: no relay was asked, or none runs here. */
  readonly status: PodStatus | null;
  readonly connect: boolean;
  readonly suppression: Suppression;
}

function describeAll(
  policy: Policy,
  { from, to }: Addresses,
  { ladder, status, connect, suppression }: Found,
) {
  const way = findWay(policy, from, to);
  const destination = compileRoutes(policy)(from, to);
  // Where nothing waits nothing is tried again.
  const waits = destination.kind !== 'local' && policy.queue.mode !== 'CutThrough';
  const schedule = waits ? findSchedule(policy, destination, ladder.provider) : null;
  const place = ladder.provider?.name ?? destination.name;
  const slowed = (waits && status?.queue.slowed?.find((one) => one.destination === place)) || null;
  const identity = describeIdentity(policy, ladder, status);
  const suppressed = findSuppressed(suppression, to);
  const texts = [
    describeWay(way),
    describeSuppressed(policy, suppressed),
    describeLadder(ladder),
    ...identity.map((text) => `${row('note', text)}\n`),
    ...(schedule ? [describeSchedule(schedule)] : []),
    ...(slowed ? [`${row('slowed', describeSlowed(slowed))}\n`] : []),
  ];
  const isReached = !connect || destination.kind === 'local' || hasSession(ladder);
  const value = { ...way, ladder, identity, schedule, slowed, suppressed: suppressed ?? null };
  return { value, text: texts.join(''), isReached };
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
