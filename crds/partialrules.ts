/**
 * Judges the rules over several fields for a spec of which some fields have a fault. A rule that reads such a field is
 * left out, because it cannot be decided before the field is right. All other rules count, so a person sees all faults
 * at once. Pure.
 */
import type { MailRelaySpec } from './mailrelay.ts';
import type { Rule } from './rule.ts';

/** Thrown out of a rule that reads a field with a fault. */
class Undecided extends Error {}

/** `faulty` has the paths of the fields with a fault, such as "spec.inbound.listeners.0.port". */
export function listBrokenRules(
  rules: readonly Rule[],
  spec: unknown,
  faulty: ReadonlySet<string>,
): readonly Rule[] {
  const watched = watch(spec, 'spec', faulty) as MailRelaySpec;
  return rules.filter((rule) => {
    try {
      return !rule.holds(watched);
    } catch (error) {
      if (error instanceof Undecided) return false;
      throw error;
    }
  });
}

/** The same value; reading one of the faulty paths from it throws. */
function watch(value: unknown, path: string, faulty: ReadonlySet<string>): unknown {
  if (faulty.has(path)) throw new Undecided(path);
  if (value === null || typeof value !== 'object') return value;
  return new Proxy(value, {
    get(target, key) {
      const inner: unknown = Reflect.get(target, key);
      // A method of a list reads its entries through this proxy.
      if (typeof key === 'symbol' || typeof inner === 'function') return inner;
      return watch(inner, `${path}.${key}`, faulty);
    },
    ownKeys(target) {
      for (const one of faulty) if (one.startsWith(`${path}.`)) throw new Undecided(one);
      return Reflect.ownKeys(target);
    },
  });
}
