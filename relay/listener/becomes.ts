/**
 * What the steps of a policy make of the addresses of one message, as a listener decides it at MAIL, RCPT and DATA. For
 * people who ask before they send: the client may relay.
 */
import type { Policy } from '#crds/policyfile.ts';
import type { Table } from '../addresses/addressmap.ts';
import { openTable, TableBuilder } from '../addresses/tablefile.ts';
import { readTable } from '../addresses/tabletext.ts';
import { type CompiledSteps, compileSteps } from '../headers/compile.ts';
import { compileMaps, UNREADABLE } from '../headers/maps.ts';
import type { Materials } from '../task/materials.ts';
import { replyTo } from './changedaddresses.ts';
import { readSrsKeys } from './mapsources.ts';
import { REPLIES, type Reply } from './reply.ts';

export type Becomes = Found & {
  /** The sender is refused, or becomes another, and stays what it is where the client may not relay. */
  readonly isOfSubmitted: boolean;
};

type Found =
  | { readonly kind: 'refused'; readonly reply: Reply }
  | {
      readonly kind: 'addresses';
      readonly from: string;
      readonly to: readonly string[];
      /** Recipients that the policy adds. */
      readonly copies: readonly string[];
    };

interface Sources extends Pick<Materials, 'secrets'> {
  /** The texts of the tables of addresses, by `nameTable`. One that is missing is not there, or cannot be read. */
  readonly tableTexts: Readonly<Record<string, string>>;
}

interface Asked {
  readonly from: string;
  /** A domain alone stands for any address in it. The maps have whole addresses. */
  readonly to: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export function findBecomes(policy: Policy, { secrets, tableTexts }: Sources, asked: Asked): Becomes {
  const keys = readSrsKeys(secrets[policy.addresses.srs?.secret ?? '']);
  const maps = compileMaps(policy, (name) => makeTable(tableTexts[name]), keys);
  const choose = compileSteps(policy, maps);
  const [found, others] = [find(policy, choose(true), asked), find(policy, choose(false), asked)];
  return { ...found, isOfSubmitted: printSender(found) !== printSender(others) };
}

/** Of a refusal, its reply. */
const printSender = (found: Found) => (found.kind === 'refused' ? found.reply.text : found.from);

function find(policy: Policy, steps: CompiledSteps, asked: Asked): Found {
  const moment = { sender: asked.from, at: asked.at };
  const sender = steps.changeSender(asked.from);
  if (sender.kind === 'refused') return refused(replyTo(sender.refusal));
  if (!asked.to.includes('@')) return { kind: 'addresses', from: sender.to, to: [asked.to], copies: [] };
  const recipients = steps.changeRecipient({ address: asked.to }, moment);
  if (recipients.kind === 'refused') return refused(replyTo(recipients.refusal));
  if (policy.queue.mode === 'CutThrough' && recipients.to.length > 1)
    return refused(REPLIES.severalInCutThrough);
  const all = steps.changeAll({ from: sender.to, to: recipients.to }, moment);
  if (all.kind === 'refused') return refused(replyTo(all.refusal));
  const { from, to } = all.to;
  // One box for all is in the place of the recipients, and no copy beside them.
  const own = to.every(({ isCopy }) => isCopy) ? to : to.filter(({ isCopy }) => !isCopy);
  const copies = to.filter((one) => !own.includes(one));
  return { kind: 'addresses', from, to: listAddresses(own), copies: listAddresses(copies) };
}

function refused(reply: Reply): Found {
  return { kind: 'refused', reply };
}

const listAddresses = (to: readonly { readonly address: string }[]) => to.map(({ address }) => address);

function makeTable(text: string | undefined): Table {
  if (text === undefined) return UNREADABLE;
  const builder = new TableBuilder();
  for (const line of readTable(text)) {
    if (line.kind === 'fault') return UNREADABLE;
    if (line.kind === 'entry') builder.add(line.key, line.entry);
  }
  return openTable(builder.finish().bytes) ?? UNREADABLE;
}
