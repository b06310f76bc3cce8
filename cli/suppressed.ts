/**
 * `mailrelay queue suppressed` and `mailrelay queue lift`: recipients that get no mail for some time. The exit status of
 * lift is 1 if a named recipient was not suppressed.
 */
import { readDomain } from '#relay/addresses/address.ts';
import type { Suppressed } from '#relay/suppression/entry.ts';
import { print } from './output.ts';
import { QueueClient } from './queueclient.ts';
import { screenful } from './queuelist.ts';
import { describeRest } from './queuetext.ts';
import { stateFolder } from './statefolder.ts';
import { visible } from './terminal.ts';
import { cannotBe } from './usage.ts';
import type { Format } from './verb.ts';

interface Options {
  readonly state?: string;
  readonly output: Format;
}

/** What a list for people has for each recipient. */
const LINES_EACH = 2;

export async function suppressed({
  state,
  output,
  all,
}: Options & { readonly all?: boolean }): Promise<number> {
  const found = await new QueueClient(stateFolder(state)).suppressed();
  const list = found ?? [];
  await print(output, list, () => {
    if (found === undefined) return 'Nobody is suppressed: the MailRelay has no queue.suppression.\n';
    return describeSuppressed(list, output === 'wide', all ? Number.POSITIVE_INFINITY : screenful());
  });
  return 0;
}

export async function lift(addresses: readonly string[], { state, output }: Options): Promise<number> {
  for (const address of addresses) refuseNoAddress(address);
  const lifted = await new QueueClient(stateFolder(state)).lift(addresses);
  const isDone = ({ result }: { result: string }) => result === 'done';
  await print(output, lifted, () =>
    lifted
      .map((one) => `${visible(one.address)} ${isDone(one) ? 'gets mail again' : 'is not suppressed'}\n`)
      .join(''),
  );
  return lifted.every(isDone) ? 0 : 1;
}

/** A shell may have eaten the quotes of a local part. */
function refuseNoAddress(text: string): void {
  const at = text.lastIndexOf('@');
  if (at < 1 || !readDomain(text.slice(at + 1)))
    throw cannotBe('addresses', text, 'it must be an address, such as joe@example.com');
}

export function describeSuppressed(list: readonly Suppressed[], isWide: boolean, lines: number): string {
  const shown = list.slice(0, isWide ? lines : Math.ceil(lines / LINES_EACH));
  return `${isWide ? describeWide(shown) : describeList(shown)}${describeRest(list.length - shown.length)}`;
}

/** With exact values and tabs between them, as in the queue. */
function describeWide(list: readonly Suppressed[]): string {
  const rows = list.map(({ address, until, bounces, text }) =>
    [address, until, `${bounces}`, text].map(visible),
  );
  return [['ADDRESS', 'UNTIL', 'BOUNCES', 'REASON'], ...rows].map((row) => `${row.join('\t')}\n`).join('');
}

function describeList(list: readonly Suppressed[]): string {
  if (list.length === 0) return 'Nobody is suppressed.\n';
  return list
    .map(({ address, until, bounces, text }) => {
      const times = bounces === 1 ? '1 bounce' : `${bounces} bounces`;
      return `${visible(address)}\n      until ${until}, ${times}: ${visible(text)}\n`;
    })
    .join('');
}
