/** The names of mtasts.story.ts: for each domain its MX host and its policy host, by the address of who plays them. */
import type { Names } from '#test/kit/nameserver.ts';
import { BAD } from './mtastspolicies.ts';

export const HOST = '192.0.2.1';

const SERVED = { A: [HOST] };
const ANNOUNCED = { TXT: ['v=STSv1; id=1;'] };

type Zone = Record<string, Names[string]>;

/** Each domain has a policy host, and one MX host of its name. */
function zoneOf(domain: string, mx: string): Zone {
  return {
    [`_mta-sts.${domain}`]: ANNOUNCED,
    [`mta-sts.${domain}`]: SERVED,
    [domain]: { MX: [[10, `mx.${domain}`]] },
    [`mx.${domain}`]: { A: [mx] },
  };
}

export const [VERIFIED, SELF, STRIPPING] = ['192.0.2.2', '192.0.2.3', '192.0.2.4'];
export const NAMES: Zone = {
  ...Object.fromEntries(
    ['good', 'wild', 'proven', 'kept', 'renamed', 'stray'].flatMap((name) =>
      Object.entries(zoneOf(`${name}.example`, VERIFIED)),
    ),
  ),
  ...zoneOf('self.example', SELF),
  ...Object.fromEntries(
    [
      'stripped',
      'tested',
      'ended',
      'nameless',
      'common',
      'expired',
      'early',
      'stranger',
      'below',
      ...Object.keys(BAD),
    ].flatMap((name) => Object.entries(zoneOf(`${name}.example`, STRIPPING))),
  ),
  ...zoneOf('floor.stripped.example', STRIPPING),
  ...zoneOf('half.example', STRIPPING),
  'half.example': {
    MX: [
      [5, 'mx.stripped.example'],
      [10, 'mx.half.example'],
      [20, 'mx.good.example'],
    ],
  },
  'mta-sts.refused.example': { A: ['192.0.2.9'] },
  'mta-sts.second.example': { A: ['192.0.2.9', HOST] },
  'client.example': { A: [STRIPPING] },
};
