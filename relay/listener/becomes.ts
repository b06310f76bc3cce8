/**
 * What the steps of a policy make of the addresses of one message, as a listener decides it at MAIL, RCPT and DATA. For
 * people who ask before they send: the client may relay.
 */
import type { Policy } from '#crds/policyfile.ts';
import type { BuiltTable } from '../addresses/buildtable.ts';
import { openTable } from '../addresses/tablefile.ts';
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
  /** By `nameTable`. One that is missing is not there. */
  readonly tables: Readonly<Record<string, BuiltTable>>;
}

interface Asked {
  readonly from: string;
  /** A domain alone stands for any address in it. The maps have whole addresses. */
  readonly to: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export function findBecomes(policy: Policy, { secrets, tables }: Sources, asked: Asked): Becomes {
  const keys = readSrsKeys(secrets[policy.addresses.srs?.secret ?? '']);
  const open = (name: string) => {
    const table = tables[name];
    return (table?.kind === 'built' ? openTable(table.bytes) : undefined) ?? UNREADABLE;
  };
  const maps = compileMaps(policy, open, keys);
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
