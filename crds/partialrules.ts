/**
 * Judges the rules over several fields for a spec of which some fields have a fault. A rule that reads such a field is
 * judged without the entries of lists that have it. If it still reads one, it is left out, because it cannot be decided
 * before the field is right. So a person sees all faults at once. Pure.
 */
import { type Culprit, findCulprits, type Key } from './culprits.ts';
import type { MailRelaySpec } from './mailrelay.ts';
import type { Rule } from './rule.ts';

interface BrokenRule extends Culprit {
  readonly message: string;
}

/** Stands in the place of a value with a fault. */
const FAULTY = Symbol('faulty');

/** Thrown out of a rule that reads a field with a fault. */
class Undecided extends Error {}

/** `faulty` has the paths of the fields with a fault, such as "spec.inbound.listeners.0.port". */
export function listBrokenRules(
  rules: readonly Rule[],
  spec: unknown,
  faulty: ReadonlySet<string>,
): readonly BrokenRule[] {
  const whole = mark(spec, 'spec', faulty);
  const sound = dropFaulty(whole);
  return rules.flatMap((rule) => {
    const verdict = judge(rule, whole);
    if (verdict === 'holds') return [];
    if (verdict === 'broken') return blame(rule, whole);
    return rule.wantsOne !== true && judge(rule, sound.value) === 'broken'
      ? blame(rule, sound.value).map((broken) => ({ ...broken, keys: sound.printed(broken.keys) }))
      : [];
  });
}

function blame(rule: Rule, spec: unknown): readonly BrokenRule[] {
  const { message, path, wantsOne } = rule;
  const place = path.split('.');
  const culprits =
    wantsOne === true ? [] : findCulprits(spec, ['spec'], { place, judge: (value) => tryOut(rule, value) });
  const found = culprits.filter(({ keys }) => keys.length > 1);
  return (found.length > 0 ? found : [{ keys: place, value: undefined }]).map((one) => ({
    ...one,
    message,
  }));
}

type Verdict = 'holds' | 'broken' | 'undecided';

function judge(rule: Rule, spec: unknown): Verdict {
  try {
    return rule.holds(watch(spec) as MailRelaySpec) ? 'holds' : 'broken';
  } catch (error) {
    if (error instanceof Undecided) return 'undecided';
    throw error;
  }
}

/** The search for culprits also leaves out mandatory fields, on which a rule relies. */
function tryOut(rule: Rule, spec: unknown): Verdict {
  try {
    return judge(rule, spec);
  } catch (error) {
    if (error instanceof TypeError) return 'undecided';
    throw error;
  }
}

/** The same value with FAULTY in the place of each value with a fault, and of each field that is missing. */
function mark(value: unknown, path: string, faulty: ReadonlySet<string>): unknown {
  if (faulty.has(path)) return FAULTY;
  if (value === null || typeof value !== 'object') return value;
  const inner = (key: Key, one: unknown) => mark(one, `${path}.${key}`, faulty);
  if (Array.isArray(value)) return value.map((one, index) => inner(index, one));
  const missing = [...faulty].flatMap((one) => {
    const key = one.startsWith(`${path}.`) ? one.slice(path.length + 1) : '';
    return key === '' || key.includes('.') || Object.hasOwn(value, key) ? [] : [[key, FAULTY] as const];
  });
  return Object.fromEntries([
    ...Object.entries(value).map(([key, one]) => [key, inner(key, one)] as const),
    ...missing,
  ]);
}

/** Without the entries of lists that have a fault; a list never becomes empty. `printed` gives the place before. */
function dropFaulty(spec: unknown): { value: unknown; printed: (keys: readonly Key[]) => Key[] } {
  const places = new Map<unknown, readonly number[]>();
  const drop = (value: unknown): unknown => {
    if (value === null || typeof value !== 'object') return value;
    if (!Array.isArray(value))
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, drop(one)]));
    const inner = value.map(drop);
    const sound = inner.flatMap((one, index) => (holdsFaulty(one) ? [] : [index]));
    if (sound.length === 0) return inner;
    const left = sound.map((index) => inner[index]);
    places.set(left, sound);
    return left;
  };
  const dropped = drop(spec);
  const printed = ([first = 'spec', ...keys]: readonly Key[]): Key[] => {
    let node: unknown = dropped;
    return [
      first,
      ...keys.map((key) => {
        const before = places.get(node)?.[Number(key)] ?? key;
        node = (node as Readonly<Record<Key, unknown>> | undefined)?.[key];
        return before;
      }),
    ];
  };
  return { value: dropped, printed };
}

function holdsFaulty(value: unknown): boolean {
  if (value === FAULTY) return true;
  return value !== null && typeof value === 'object' && Object.values(value).some(holdsFaulty);
}

/** The same value; reading FAULTY from it throws. */
function watch(value: unknown): unknown {
  if (value === FAULTY) throw new Undecided();
  if (value === null || typeof value !== 'object') return value;
  return new Proxy(value, {
    get(target, key) {
      const inner: unknown = Reflect.get(target, key);
      // A method of a list reads its entries through this proxy.
      if (typeof key === 'symbol' || typeof inner === 'function') return inner;
      return watch(inner);
    },
    ownKeys(target) {
      if (holdsFaulty(target)) throw new Undecided();
      return Reflect.ownKeys(target);
    },
  });
}
