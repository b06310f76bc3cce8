/**
 * The live view of `mailrelay run` as lines that fit a terminal. Does mail flow, is it encrypted, what waits and why, which
 * certificate until when, what changed last? Pure.
 */
import { printEndpoint } from '#crds/networks.ts';
import { summarizePolicy } from '#crds/policysummary.ts';
import { servedPort } from '#crds/wellknown.ts';
import type { LoggedDelivery } from './deliverytail.ts';
import { describeListener, describeNextHops } from './policytext.ts';
import { idleSinkWords, listSendWords, type RunFacts, SINK_ADDRESS } from './runtext.ts';
import type { TakenMessage } from './sink/taken.ts';
import { describeEnvelope, describeProtection } from './sinktext.ts';
import {
  describeCertificate,
  listCertificateProblems,
  queueLines,
  sessionLines,
  troubleLines,
} from './statustext.ts';
import { note, row, visible } from './terminal.ts';

export interface Notice {
  /** RFC 3339. */
  readonly time: string;
  readonly text: string;
}

export interface ViewFacts extends RunFacts {
  readonly logFile: string;
  /** The latest first. */
  readonly deliveries: readonly LoggedDelivery[];
  readonly taken: readonly TakenMessage[];
  readonly notices: readonly Notice[];
}

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

export type Tone = 'plain' | 'good' | 'fault' | 'quiet';

export interface ViewLine {
  readonly text: string;
  readonly tone: Tone;
}

interface Section {
  readonly lines: readonly ViewLine[];
  /** A list of the latest: it loses its last lines where the terminal is low. */
  readonly isList?: true;
}

const MOST_LISTED = 10;
/** Where the text of a notice begins: behind the name of its row and the time. */
const NOTICE_COLUMN = 24;
const MIN_NOTICE = 20;

export function renderView(facts: ViewFacts, now: number, size: Size): ViewLine[] {
  const sections = [
    ...describeRelay(facts, now),
    ...describeTraffic(facts),
    ...describeWays(facts, size),
    ...describeLatest(facts, size),
    inTone('quiet', ['Ctrl-C ends the relay. Mail that waits stays for the next start.']),
  ];
  const lines = fitSections(sections, size.rows).flatMap((section) => section.lines);
  const shown = lines.length > size.rows ? cutRows(lines, size.rows) : lines;
  return shown.map(({ text, tone }) => ({ text: cutColumns(text, size.columns), tone }));
}

function describeRelay({ policy, address, status, notStarted }: ViewFacts, now: number): Section[] {
  const { ready, notReady, certificate, missing, notInForce } = status;
  const { listeners, outbound } = summarizePolicy(policy);
  const { hash, refused } = status.policy;
  const name = `MailRelay ${policy.namespace}/${policy.name}`;
  const ways = listeners.map(
    (one) => `${one.name}  ${printEndpoint(address, servedPort(one.port))}  ${describeListener(one)}`,
  );
  const [served = ''] = describeCertificate('certificate', certificate, null, now);
  const problems = listCertificateProblems(status).map(({ reason, message }) =>
    note(`${reason}: ${message}`),
  );
  return [
    inTone(ready ? 'good' : 'fault', [`${name} is ${ready ? 'ready' : `not ready: ${notReady.join('; ')}`}`]),
    inTone('fault', [
      ...(refused ? [row('refused', `a changed policy: ${refused.message}`)] : []),
      ...troubleLines(status),
      ...rows('missing', missing),
      ...rows('not in force', notInForce),
      ...rows('not started', notStarted),
    ]),
    plain(rows('listeners', ways)),
    plain([
      row('policy', `${hash ?? 'none yet'}, outbound ${outbound.tlsLevel}, ${describeNextHops(outbound)}`),
    ]),
    plain([served]),
    inTone('fault', problems),
  ];
}

function describeTraffic({ status }: ViewFacts): Section[] {
  const [queue = '', ...reasons] = queueLines(status);
  return [plain([...sessionLines(status).slice(0, 1), queue]), inTone('fault', reasons)];
}

function describeWays(facts: ViewFacts, { columns }: Size): Section[] {
  const words = listSendWords(facts);
  const { address, adminPort, logFile } = facts;
  return [
    plain([
      row('health', `http://${printEndpoint(address, adminPort)}/readyz /status /metrics`),
      row('log', logFile),
    ]),
    plain(words ? ['', 'Send a message through it:', ...foldCommand(words, columns), ''] : []),
  ];
}

function describeLatest({ deliveries, taken, notices, sink, policy }: ViewFacts, size: Size): Section[] {
  return [
    list('deliveries', deliveries.map(describeDelivery)),
    plain(
      sink
        ? [
            row('sink', `at ${printEndpoint(SINK_ADDRESS, sink.port)}, its last hundred messages in`),
            note(sink.folder),
            ...idleSinkWords(policy, sink.port).map(note),
          ]
        : [],
    ),
    list('', taken.map(describeArrival)),
    list(
      'changes',
      notices.flatMap((notice) => describeNotice(notice, size)),
    ),
  ];
}

function describeDelivery({ time, to, event, hop, tls, seconds, reason }: LoggedDelivery): string {
  const how = event === 'delivered' ? (tls === 'none' ? 'in plain text' : tls) : reason;
  const way = hop === '' ? '' : ` by ${hop}`;
  return `${formatTime(time)}  ${to}${way}: ${event}, ${how}${event === 'delivered' ? `, after ${seconds} s` : ''}`;
}

/** Over several lines where it is long: it stands nowhere else, and its end is the cure. */
function describeNotice({ time, text }: Notice, { columns }: Size): string[] {
  const width = Math.max(MIN_NOTICE, columns - NOTICE_COLUMN);
  const lines = text.split('\n').flatMap((line) => wrapWords(line, width));
  return lines.map((line, index) => `${index === 0 ? formatTime(time) : ''.padEnd(8)}  ${line}`);
}

function wrapWords(text: string, width: number): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last === '') lines[lines.length - 1] = word;
    else if (last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

function describeArrival(message: TakenMessage): string {
  const name = message.file.replace(/.*\//, '');
  return `${formatTime(message.time)}  ${name}  ${describeEnvelope(message)}, ${describeProtection(message)}`;
}

function formatTime(time: string): string {
  return time.slice(11, 19);
}

function plain(lines: readonly string[]): Section {
  return inTone('plain', lines);
}

function inTone(tone: Tone, lines: readonly string[]): Section {
  return { lines: lines.map((text) => ({ text, tone })) };
}

function list(name: string, texts: readonly string[]): Section {
  return { ...plain(rows(name, texts.slice(0, MOST_LISTED))), isList: true };
}

function rows(name: string, texts: readonly string[]): string[] {
  return texts.map((text, index) => row(index === 0 ? name : '', text));
}

/** The longest list gives a line, again and again, until all fits or every list has one line. */
function fitSections(sections: readonly Section[], most: number): readonly Section[] {
  const height = sections.reduce((sum, { lines }) => sum + lines.length, 0);
  const longest = Math.max(...sections.map(({ lines, isList }) => (isList ? lines.length : 0)));
  if (height <= most || longest <= 1) return sections;
  const index = sections.findLastIndex(({ lines, isList }) => isList && lines.length === longest);
  const shorter = sections.map((one, at) => (at === index ? { ...one, lines: one.lines.slice(0, -1) } : one));
  return fitSections(shorter, most);
}

function cutRows(lines: readonly ViewLine[], most: number): ViewLine[] {
  const hidden = lines.length - most + 1;
  const text = `${hidden} more lines: make the window higher`;
  return [...lines.slice(0, Math.max(0, most - 1)), { text, tone: 'quiet' as const }].slice(0, most);
}

/** By characters. A terminal that draws one in two columns cuts the rest itself. */
function cutColumns(text: string, most: number): string {
  const characters = [...visible(text)];
  return characters.length <= most
    ? characters.join('')
    : `${characters.slice(0, Math.max(0, most - 1)).join('')}…`;
}

/**
 * A command over several lines that a shell takes as one. A word that is too long goes on at the left edge, which a word
 * in quotes cannot.
 */
export function foldCommand(words: readonly string[], columns: number): string[] {
  const width = Math.max(8, columns - 2);
  if (words.some((word) => word.length > width && word.includes("'")))
    return ['(make the window wider to see the command)'];
  const lines = [''];
  const last = () => lines.at(-1) ?? '';
  for (const word of words) {
    if (last() === '') lines[lines.length - 1] = word;
    else if (last().length + 1 + word.length <= width) lines[lines.length - 1] += ` ${word}`;
    else lines.splice(-1, 1, `${last()} \\`, word);
    while (last().length > width) lines.splice(-1, 1, `${last().slice(0, width)}\\`, last().slice(width));
  }
  return lines;
}
