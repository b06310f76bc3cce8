/** A real SOCKS5 proxy: microsocks of Debian. Its connections come from an address of its own. */
import { join } from 'node:path';
import { unpacked } from './debian.ts';
import { Foreground } from './foreground.ts';

export interface MicrosocksOptions {
  readonly port: number;
  /** The address that its connections come from. */
  readonly from: string;
  readonly login?: { readonly user: string; readonly password: string };
}

export function startMicrosocks({ port, from, login }: MicrosocksOptions): Promise<Foreground> {
  const program = join(unpacked('microsocks', []), 'usr/bin/microsocks');
  const auth = login ? ['-u', login.user, '-P', login.password] : [];
  return Foreground.start({
    name: 'microsocks',
    command: [program, '-i', '127.0.0.1', '-p', String(port), '-b', from, ...auth],
    port,
  });
}
