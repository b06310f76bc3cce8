/**
 * Verifies DKIM signatures with dkimpy, an implementation that is independent of the relay's. Keys come from the caller
 * and from the tests of dkimpy, never from DNS. A signature without a key is hashed too, so that a changed byte is
 * found.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { unpacked } from './debian.ts';

const PROGRAM = `
import base64, json, sys
import dkim
from dkim.tests import test_dkim, test_dkim_ed25519

asked = json.load(sys.stdin)
digests = []

class Recording(dkim.HashThrough):
    def digest(self):
        digests.append(base64.b64encode(super().digest()).decode())
        return super().digest()

dkim.HashThrough = Recording

CASES = (test_dkim.TestSignAndVerify(), test_dkim_ed25519.TestSignAndVerify())
OWN_KEYS = [getattr(case, name) for case in CASES for name in dir(case) if name.startswith('dnsfunc')]
for case in CASES:
    case.setUp()

def own_key(find, name):
    try:
        return find((name + '.').encode())
    except Exception:
        return None

def keys_of(name):
    keys = [asked['keys'].get(name), *(own_key(find, name) for find in OWN_KEYS)]
    return [key for key in dict.fromkeys(keys) if key]

STAND_IN = test_dkim.read_test_data('test.txt')

def verdict(message, index, key):
    digests.clear()
    try:
        return dkim.DKIM(message).verify(index, lambda name, timeout=5: key)
    except Exception:
        return False

def signatures(message):
    fields = [value for name, value in dkim.rfc822_parse(message)[0] if name.lower() == b'dkim-signature']
    for index, field in enumerate(fields):
        try:
            tags = dkim.parse_tag_value(field)
            name = (tags[b's'] + b'._domainkey.' + tags[b'd']).decode()
        except Exception:
            continue
        keys = keys_of(name)
        valid = any(verdict(message, index, key) for key in keys)
        verdict(message, index, STAND_IN)
        yield {'name': name, 'isKnown': bool(keys), 'isValid': valid, 'digests': list(digests)}

def listed(message):
    try:
        return list(signatures(base64.b64decode(message)))
    except dkim.MessageFormatError:
        return []

print(json.dumps([listed(message) for message in asked['messages']]))
`;

export interface Signature {
  /** The DNS name of its key. */
  readonly name: string;
  /** True if there is a key for it. */
  readonly isKnown: boolean;
  readonly isValid: boolean;
  /** Digests of the body and of the signed header fields. */
  readonly digests: readonly string[];
}

/** The folder of the package, with its tests. */
export function dkimpyFolder(): string {
  return join(unpacked('python3-dkim'), 'usr/lib/python3/dist-packages');
}

/** Why dkimpy cannot be used, or undefined. */
export function dkimpyProblem(): string | undefined {
  try {
    dkimpyFolder();
    return undefined;
  } catch (error) {
    return `no dkimpy: ${(error as Error).message}`;
  }
}

/** The signatures of each message. `keys` are DNS records. */
export function dkimpySignatures(
  messages: readonly Buffer[],
  keys: Readonly<Record<string, string>>,
): Signature[][] {
  // The modules of Debian need the interpreter of Debian.
  const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';
  const library = join(
    unpacked('python3-dkim'),
    'usr/lib',
    `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`,
  );
  const output = execFileSync(python, ['-c', PROGRAM], {
    input: JSON.stringify({ messages: messages.map((bytes) => bytes.toString('base64')), keys }),
    encoding: 'utf8',
    env: {
      ...process.env,
      PYTHONPATH: dkimpyFolder(),
      LD_LIBRARY_PATH: library,
      PYTHONDONTWRITEBYTECODE: '1',
    },
    maxBuffer: 64 * 1024 * 1024,
  });
  return JSON.parse(output) as Signature[][];
}
