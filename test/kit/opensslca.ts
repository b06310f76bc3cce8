/** Certificates with any extension, made and judged by the program openssl. */
import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Pair } from './ca.ts';

/** The extensions of an authority. */
export const CA = ['basicConstraints=critical,CA:true', 'keyUsage=keyCertSign'];

export class OpensslAuthority {
  readonly #dir = mkdtempSync(join(tmpdir(), 'opensslca-'));
  #made = 0;

  constructor() {
    // The configuration of the machine has extensions of its own.
    writeFileSync(join(this.#dir, 'openssl.cnf'), '[req]\ndistinguished_name = dn\n[dn]\n');
  }

  /** `extensions` as in a configuration of openssl. `by` absent: self-signed. */
  issue(name: string, extensions: readonly string[], by?: Pair, digest = 'sha256'): Pair {
    const [cert, key] = [this.#file('cert'), this.#file('key')];
    const own = extensions.flatMap((extension) => ['-addext', extension]);
    const issuer = by ? ['-CA', this.#write(by.cert), '-CAkey', this.#write(by.key)] : [];
    const keys = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-keyout', key];
    execFileSync(
      'openssl',
      ['req', '-config', join(this.#dir, 'openssl.cnf'), '-x509', '-days', '30', `-${digest}`]
        .concat(['-subj', `/CN=${name}`, '-out', cert])
        .concat(keys, own, issuer),
      { stdio: 'pipe' },
    );
    return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8'), serial: '' };
  }

  /** Has the name and the public key of another authority, and no signature by it. */
  forge(of: Pair, extensions: readonly string[]): Pair {
    return { ...this.again(of, extensions, this.issue('forger', CA)), key: '' };
  }

  /** Another certificate for the name and the key of the first one. */
  again(of: Pair, extensions: readonly string[], own: Pair, digest = 'sha256'): Pair {
    const { publicKey, subject } = new X509Certificate(of.cert);
    const [cert, config] = [this.#file('cert'), this.#write(extensions.join('\n'))];
    const key = this.#write(String(publicKey.export({ type: 'spki', format: 'pem' })));
    execFileSync(
      'openssl',
      ['x509', '-new', '-days', '30', '-subj', `/${subject}`, `-${digest}`, '-force_pubkey', key].concat([
        '-out',
        cert,
        '-extfile',
        config,
        '-CA',
        this.#write(own.cert),
        '-CAkey',
        this.#write(own.key),
      ]),
      { stdio: 'pipe' },
    );
    return { ...of, cert: readFileSync(cert, 'utf8') };
  }

  /** What openssl says of a server with this name and chain, whose only trust anchor is `anchor`. */
  accepts(host: string, chain: readonly Pair[], anchor: Pair): boolean {
    const [leaf, ...others] = chain.map(({ cert }) => cert);
    const nobody = ['-no-CAfile', '-no-CApath', '-no-CAstore', '-auth_level', '1'];
    const { status } = spawnSync(
      'openssl',
      ['verify', '-partial_chain', '-purpose', 'sslserver', '-verify_hostname', host, ...nobody]
        .concat(['-trusted', this.#write(anchor.cert), '-untrusted', this.#write(others.join(''))])
        .concat(this.#write(leaf ?? '')),
    );
    return status === 0;
  }

  remove(): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #write(text: string): string {
    const file = this.#file('pem');
    writeFileSync(file, text);
    return file;
  }

  #file(kind: string): string {
    this.#made += 1;
    return join(this.#dir, `${this.#made}.${kind}`);
  }
}
