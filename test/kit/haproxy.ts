/** A real HAProxy of Debian: it takes connections that begin with a PROXY header, and passes them on with one of its own. */
import { Layer } from './layer.ts';

export interface HaproxyOptions {
  readonly port: number;
  /** The port of the server behind it, which gets a header of version 1. */
  readonly to: number;
}

export function startHaproxy({ port, to }: HaproxyOptions): Promise<Layer> {
  return Layer.start({
    name: 'haproxy',
    port,
    command: ['/usr/sbin/haproxy', '-db', '-f', '/etc/haproxy/haproxy.cfg'],
    files: {
      '/etc/haproxy/haproxy.cfg': `defaults
  mode tcp
  timeout connect 10s
  timeout client 10m
  timeout server 10m
listen relay
  bind 127.0.0.1:${port} accept-proxy
  server hop 127.0.0.1:${to} send-proxy
`,
    },
    users: { haproxy: [] },
  });
}
