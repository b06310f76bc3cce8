/** TLSA records as a host publishes them (RFC 6698): with the whole certificate or its key, or with a digest. */
import { createHash, X509Certificate } from 'node:crypto';

interface TlsaRecord {
  readonly usage: number;
  readonly selector: number;
  readonly matching: number;
  readonly data: string;
}

/** `certificate`: of the host or of an authority, where it is text in PEM. */
export function tlsaRecord(
  certificate: X509Certificate | string,
  usage: number,
  selector: number,
  matching: number,
): TlsaRecord {
  const { raw, publicKey } = typeof certificate === 'string' ? new X509Certificate(certificate) : certificate;
  const content = selector === 0 ? raw : publicKey.export({ type: 'spki', format: 'der' });
  const digest = (name: string) => createHash(name).update(content).digest();
  const data = matching === 0 ? content : digest(matching === 1 ? 'sha256' : 'sha512');
  return { usage, selector, matching, data: data.toString('hex') };
}
