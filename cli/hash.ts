/**
 * `mailrelay hash`: prints the hash of a password, as a Secret of users holds it. Prints the whole Secret if a user is
 * named. The senders that the user may use stand behind the hash.
 */
import { stringify } from 'yaml';
import { hashPassword } from '#crds/passwordhash.ts';
import { namespaceName, objectName } from '#crds/shapes.ts';
import { readSenders, refuseMisshapen } from './misshapen.ts';
import { isObjectKey } from './objects.ts';
import { readPassword } from './password.ts';
import { cannotBe, UsageError } from './usage.ts';

interface HashOptions {
  readonly user?: string;
  readonly sender?: readonly string[];
  readonly secret?: string;
  readonly namespace?: string;
}

export async function hash(
  { user, sender = [], secret, namespace }: HashOptions,
  { args }: { readonly args: readonly string[] },
): Promise<number> {
  // The message does not quote the argument, because it may be the password.
  if (args.length > 0)
    throw new UsageError('A password is never an argument: type it when asked, or give it on standard input');
  if (user === undefined && (secret !== undefined || namespace !== undefined))
    throw new UsageError('A Secret needs a user: add --user NAME');
  if (user !== undefined && !/^[^\s:]{1,255}$/.test(user))
    throw cannotBe('--user', user, 'it must be a name without blanks and colons');
  if (secret !== undefined) refuseMisshapen('--secret', objectName(), secret);
  if (namespace !== undefined) refuseMisshapen('--namespace', namespaceName(), namespace);
  for (const one of sender) {
    // It would end in the line of the Secret.
    if (/[\s,]/.test(one))
      throw cannotBe('--sender', one, 'it has a blank or a comma: repeat the option for each sender');
    readSenders('--sender', one);
  }
  const line = [await hashPassword(await readPassword('new')), ...sender].join(' ');
  process.stdout.write(user === undefined ? `${line}\n` : formatSecret(user, line, secret, namespace));
  return 0;
}

function formatSecret(user: string, line: string, name = 'relay-users', namespace?: string): string {
  return stringify(
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
      type: 'Opaque',
      // The relay reads user names that cannot be a key from the list `users`.
      stringData: isObjectKey(user) ? { [user]: line } : { users: `${user}:${line}\n` },
    },
    { lineWidth: 0 },
  );
}
