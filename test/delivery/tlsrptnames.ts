/** The domains of tlsrpt.story.ts, and where their hosts are. */
import type { Names } from '#test/kit/nameserver.ts';

export const [REPORTS, GOOD, SINK, PLAIN] = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4'];
/** Of a host whose certificate nobody trusts, and of an MTA-STS policy. */
export const [SELF, POLICY] = ['192.0.2.5', '192.0.2.6'];

const mx = (domain: string, address: string, rua?: string) => ({
  [domain]: { MX: [[10, `mx.${domain}`]] as const },
  [`mx.${domain}`]: { A: [address] },
  ...(rua === undefined ? {} : { [`_smtp._tls.${domain}`]: { TXT: [`v=TLSRPTv1; rua=${rua}`] } }),
});

export const NAMES: Record<string, Names[string]> = {
  ...mx('good.example', GOOD, 'mailto:tls%2Breports@sink.example,https://reports.example/good'),
  ...mx('plain.example', PLAIN, 'https://reports.example/plain'),
  ...mx('silent.example', PLAIN),
  ...mx('moved.example', PLAIN, 'https://reports.example/moved'),
  ...mx('busy.example', PLAIN, 'https://reports.example/busy'),
  ...mx('false.example', PLAIN, 'https://false.example/'),
  ...mx('sink.example', SINK, 'https://reports.example/sink'),
  ...mx('second.example', PLAIN, 'mailto:tls@sts.example,mailto:tls@dane.example'),
  ...mx('third.example', PLAIN, 'mailto:tls@floor.example'),
  ...mx('sts.example', SELF),
  '_mta-sts.sts.example': { TXT: ['v=STSv1; id=1'] },
  'mta-sts.sts.example': { A: [POLICY] },
  'dane.example': { MX: [[10, 'mx.dane.example']], isSigned: true },
  'proven.example': { MX: [[10, 'mx.dane.example']], isSigned: true },
  '_smtp._tls.proven.example': { TXT: ['v=TLSRPTv1; rua=https://reports.example/proven'] },
  ...mx('both.example', SELF, 'https://reports.example/both'),
  'both.example': { MX: [[10, 'mx.dane.example']] },
  '_mta-sts.both.example': { TXT: ['v=STSv1; id=1'] },
  'mta-sts.both.example': { A: [POLICY] },
  'mx.dane.example': { A: [SELF], isSigned: true },
  '_25._tcp.mx.dane.example': { TLSA: [Buffer.alloc(32)], isSigned: true },
  ...mx('floor.example', SELF),
  'reports.example': { A: [REPORTS] },
  'client.example': { A: [PLAIN] },
};
