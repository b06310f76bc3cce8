/**
 * The proof that the key of the next certificate is in DNS: a look-up of each TLSA name shows every record that belongs
 * there. An object that external-dns has taken proves nothing: a provider may leave TLSA out, or fail later. Pure.
 */
import { tlsaValue } from '#crds/dnsrecords.ts';
import type { World } from '../world.ts';
import type { AwaitedRecord, DnsView, KeyPlan, Proof } from './keyplan.ts';
import { listPublished } from './published.ts';

type Observed = Pick<World, 'relay' | 'objects' | 'dns'>;

export function proveInDns(world: Observed, digest: string): Proof {
  const records = tlsaRecords(world);
  const isWritten = records.length > 0 && records.every(({ values }) => values.includes(tlsaValue(digest)));
  if (!isWritten) return { kind: 'unwritten' };
  const proofs = records.map((record) => prove(record, world.dns));
  // A record that is not there is told before a look-up that failed, and both before one that is under way.
  for (const kind of ['lacking', 'failed', 'unasked'] as const) {
    const found = proofs.find((one) => one.kind === kind);
    if (found) return found;
  }
  return { kind: 'proven' };
}

function prove({ name, values }: AwaitedRecord, dns: DnsView | undefined): Proof {
  const answer = dns?.get(name);
  if (answer === undefined) return { kind: 'unasked' };
  if (answer.kind === 'failed') return { kind: 'failed', name, why: answer.why };
  const value = values.find((one) => !answer.values.includes(one));
  return value === undefined ? { kind: 'proven' } : { kind: 'lacking', name, value };
}

/** The records that have to be looked up now. Empty except while the next key waits for its proof. */
export function listAwaited(world: Observed & { readonly keys?: KeyPlan }): AwaitedRecord[] {
  const step = world.keys?.next?.step;
  return step?.kind === 'publishing' && step.proof.kind !== 'unwritten' ? tlsaRecords(world) : [];
}

function tlsaRecords(world: Observed): AwaitedRecord[] {
  return listPublished(world).flatMap(({ type, name, values }) =>
    type === 'TLSA' ? [{ name, values }] : [],
  );
}
