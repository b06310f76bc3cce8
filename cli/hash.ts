/**
 * `mailrelay hash`: prints the hash of a password, as a Secret of users holds it. Prints the whole Secret if a user is
 * named.
 */
import { stringify } from 'yaml';
import { hashPassword } from '#crds/passwordhash.ts';
import { readPassword } from './password.ts';
import { options, UsageError } from './usage.ts';

const HELP = `Usage: mailrelay hash [--user NAME [--secret NAME] [--namespace NAME]]

Reads a password from the terminal (twice, without showing it) or from standard input (its first line), and prints its
hash for a Secret of users. A password is never an argument.

  --user NAME        print a Secret document with this user
  --secret NAME      name of that Secret         (relay-users)
  --namespace NAME   namespace of that Secret    (none: that of kubectl)

To add a user to a Secret that exists:
  kubectl patch secret relay-users --patch "{\\"stringData\\": {\\"alice\\": \\"$(mailrelay hash)\\"}}"
`;

export async function hash(argv: string[]): Promise<number> {
  const parsed = options(
    argv,
    { user: { type: 'string' }, secret: { type: 'string' }, namespace: { type: 'string' } },
    HELP,
  );
  if (!parsed) return 0;
  const { user, secret, namespace } = parsed.values;
  // The message does not quote the argument, because it may be the password.
  if (parsed.positionals.length > 0)
    throw new UsageError('A password is never an argument: type it when asked, or give it on standard input');
  if (user === undefined && (secret !== undefined || namespace !== undefined))
    throw new UsageError('A Secret needs a user: add --user NAME');
  if (user !== undefined && !/^[^\s:]{1,255}$/.test(user))
    throw new UsageError(`--user must be a name without blanks and colons, not "${user}"`);
  const line = await hashPassword(await readPassword('new'));
  process.stdout.write(user === undefined ? `${line}\n` : formatSecret(user, line, secret, namespace));
  return 0;
}

function formatSecret(user: string, line: string, name = 'relay-users', namespace?: string): string {
  // A key of a Secret allows only these characters. The relay reads other user names from the list `users`.
  const isKey = /^[-._a-zA-Z0-9]{1,253}$/.test(user);
  return stringify(
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
      type: 'Opaque',
      stringData: isKey ? { [user]: line } : { users: `${user}:${line}\n` },
    },
    { lineWidth: 0 },
  );
}
