/**
 * The authorities file: the authorities of the certificate inside the cluster that clients can read, by their
 * fingerprints. The operator writes it beside the policy file, from the ConfigMap that it has published. A relay serves
 * a pair of another authority only when clients had time to read of it. The file is no part of the policy, so it restarts
 * nothing. Without the file nobody publishes, and nothing waits. Readers accept unknown fields. Pure.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { listCertificates } from './keypair.ts';

const AUTHORITIES_FORMAT = 1;
export const AUTHORITIES_FILE_NAME = `authorities.v${AUTHORITIES_FORMAT}.json`;

const authorities = z.object({
  format: z.literal(AUTHORITIES_FORMAT),
  /** SHA-256 of each published certificate, in hexadecimal. */
  published: z.array(z.string()),
});

/** `pem`: the text that is published. */
export function printAuthorities(pem: string): string {
  const value: z.infer<typeof authorities> = {
    format: AUTHORITIES_FORMAT,
    published: listFingerprints(pem).toSorted(),
  };
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** The fingerprints in the file; undefined if this reader does not understand the text. */
export function parseAuthorities(text: string): string[] | undefined {
  try {
    const result = authorities.safeParse(JSON.parse(text));
    return result.success ? result.data.published : undefined;
  } catch {
    return undefined;
  }
}

/** The fingerprint of each certificate in a PEM text. */
export function listFingerprints(pem: string): string[] {
  return listCertificates(pem).map((block) => {
    const base64 = block.replaceAll(/-----[^-]+-----/g, '');
    return createHash('sha256').update(Buffer.from(base64, 'base64')).digest('hex');
  });
}
