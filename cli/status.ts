/**
 * `mailrelay status`: prints the status of a relay, as text or as JSON. The exit status is 0 if the relay is ready, and
 * 1 if it is not ready or does not answer.
 */
import { type PodStatus, parsePodStatus } from '#crds/podstatus.ts';
import { ADMIN_PORT } from '#crds/wellknown.ts';
import { describeStatus } from './statustext.ts';
import { options, outputOption, portOption, UsageError } from './usage.ts';

const HELP = `Usage: mailrelay status [options]

Shows which policy and which certificate a relay really serves, its queue, its sessions, whom starttls: Required
would refuse, how deliveries were protected, and which destinations a stricter level would make wait. Exit status 1 when the relay is not ready.

      --address HOST   where it serves health and status   (127.0.0.1)
      --admin-port N   its port                            (${ADMIN_PORT})
  -o, --output json    the status as the relay gives it

In a pod: kubectl exec POD -- mailrelay status
`;

const WAIT_MS = 10_000;

export async function status(argv: string[]): Promise<number> {
  const parsed = options(
    argv,
    {
      address: { type: 'string', default: '127.0.0.1' },
      'admin-port': { type: 'string', default: String(ADMIN_PORT) },
      output: { type: 'string', short: 'o', default: 'text' },
    },
    HELP,
  );
  if (!parsed) return 0;
  const { address, output } = parsed.values;
  const [stray] = parsed.positionals;
  if (stray !== undefined) throw new UsageError(`"${stray}" is not an option of status: see --help`);
  const isJson = outputOption(output) === 'json';
  const found = await ask(address, portOption('admin-port', parsed.values['admin-port']));
  process.stdout.write(isJson ? `${JSON.stringify(found, null, 2)}\n` : describeStatus(found, Date.now()));
  return found.ready ? 0 : 1;
}

async function ask(address: string, port: number): Promise<PodStatus> {
  const host = address.includes(':') ? `[${address}]` : address;
  const text = await get(`http://${host}:${port}/status`);
  const found = text === undefined ? undefined : parsePodStatus(text);
  if (found) return found;
  throw new Error(
    text === undefined
      ? `No relay answers at ${address} port ${port}: name its health port by --admin-port`
      : `What answers at ${address} port ${port} is no relay of this version: name its health port by --admin-port`,
  );
}

async function get(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(WAIT_MS) });
    return await response.text();
  } catch {
    // A refused, reset or silent connection, or one without HTTP: the caller reports that no relay answers.
    return undefined;
  }
}
