/**
 * `mailrelay explain`: which rule of a manifest decides about the mail for an address, or about the sessions of a
 * client; and the cause and the cure of a condition reason. For an address it asks DNS as a delivery does, and connects
 * to the next hops only with --connect. It never sends a message.
 */
import { CONDITION_MEANING, REASONS } from '#crds/conditions.ts';
import { findLadder } from '#relay/delivery/ladder.ts';
import { findCure, RULES_OF_REFUSAL } from '#relay/listener/cures.ts';
import { describeSessions, isClient, listSessions } from './explainclient.ts';
import { describeLadder } from './explainladder.ts';
import { readOrders } from './explainorders.ts';
import { describeWay, findWay } from './explaintext.ts';
import { options, outputOption, UsageError } from './usage.ts';

const HELP = `Usage: mailrelay explain ADDRESS [-f FILE] [--from ADDRESS] [--connect]
       mailrelay explain CLIENT [-f FILE]
       mailrelay explain REASON

ADDRESS: shows from whom the MailRelay of a manifest takes mail for this address, which route and next hops the mail
goes by, at which TLS level, and which part of the spec decides. It asks DNS as a delivery does: the MX hosts, whether
DNSSEC proves them, their TLSA records, and the MTA-STS policy of the domain. It shows what each failure leads to.
CLIENT: an IP address. Shows the STARTTLS policy and the oldest TLS version of this client on each listener, which part
of the spec decides them, and whether its network may relay.
REASON: shows cause and cure of a condition reason, such as CertificateMissing, or of the rule that refused a client,
such as relaying_denied.

  -f, --file PATH      file or folder of YAML documents   (in a pod: the policy of the pod)
      --connect        connect to each next hop, make the TLS handshake and verify it; no login, no message
      --from ADDRESS   the sender, where there are routes by sender   (the null sender)
  -o, --output json    machine-readable
`;

export async function explain(argv: string[]): Promise<number> {
  const parsed = options(
    argv,
    {
      file: { type: 'string', short: 'f' },
      from: { type: 'string', default: '' },
      connect: { type: 'boolean', default: false },
      output: { type: 'string', short: 'o', default: 'text' },
    },
    HELP,
  );
  if (!parsed) return 0;
  const { values, positionals } = parsed;
  const [what, ...more] = positionals;
  if (what === undefined || more.length > 0)
    throw new UsageError(
      'Name one address, client or reason: mailrelay explain ADDRESS -f FILE, or see --help',
    );
  const isJson = outputOption(values.output) === 'json';
  const isAddress = isClient(what) || /[@.]/.test(what);
  const { from, file, connect } = values;
  const { value, text } = isAddress
    ? await explainAddress(what, { from, file, connect })
    : explainReason(what);
  process.stdout.write(isJson ? `${JSON.stringify(value, null, 2)}\n` : text);
  return 0;
}

interface Question {
  readonly from: string;
  readonly file: string | undefined;
  readonly connect: boolean;
}

async function explainAddress(to: string, { from, file, connect }: Question) {
  const { policy, materials } = readOrders(file);
  if (isClient(to)) {
    const sessions = listSessions(policy, to);
    return { value: sessions, text: describeSessions(to, sessions) };
  }
  const way = findWay(policy, from, to);
  const ladder = await findLadder(policy, materials, { from, to, connects: connect });
  return { value: { ...way, ladder }, text: `${describeWay(way)}${describeLadder(ladder)}` };
}

function explainReason(word: string) {
  const refusal = findCure(word);
  if (refusal !== undefined) {
    const text = `${word} (refusal of a client)\n  cure:  ${refusal}\n`;
    return { value: { rule: word, cure: refusal }, text };
  }
  const found = Object.entries(REASONS).find(([name]) => name.toLowerCase() === word.toLowerCase());
  if (!found)
    throw new UsageError(
      `There is no reason "${word}": there are ${[...Object.keys(REASONS), ...RULES_OF_REFUSAL].join(', ')}`,
    );
  const [name, { type, cause, cure }] = found;
  return {
    value: { reason: name, type, cause, cure },
    text: `${name} (${type}: ${CONDITION_MEANING[type]})\n  cause: ${cause}\n  cure:  ${cure}\n`,
  };
}
