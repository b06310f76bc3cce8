/** The keys that pods tell: those that they serve, and those of the next certificate. Pure. */
import { areAllSeen } from '../judge/allseen.ts';
import type { World } from '../world.ts';

const DIGEST = /^[0-9a-f]{64}$/;

type Observed = Pick<World, 'relay' | 'objects' | 'pods' | 'leaving' | 'strangers' | 'lacking'>;

/** Complete only when every pod that is wanted, and every pod that leaves, has told which key it serves. */
export function servedKeys(world: Observed): { digests: string[]; isComplete: boolean } {
  const told = [...world.pods, ...world.leaving].map(({ report }) => report?.certificate?.publicKeySha256);
  const digests = told.filter(isDigest);
  return {
    digests: [...new Set(digests)],
    isComplete: told.length > 0 && areAllSeen(world) && digests.length === told.length,
  };
}

/** The keys that pods have mounted to serve them next: all of them, or those in one Secret. */
export function toldNextKeys({ pods, leaving }: Observed, secret?: string): string[] {
  const told = [...pods, ...leaving]
    .flatMap(({ report }) => report?.nextCertificate ?? [])
    .filter((next) => secret === undefined || next.secret === secret)
    .map(({ publicKeySha256 }) => publicKeySha256);
  return [...new Set(told.filter(isDigest))];
}

function isDigest(text: string | undefined): text is string {
  return text !== undefined && DIGEST.test(text);
}
