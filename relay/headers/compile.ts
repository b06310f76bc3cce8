/** Puts the steps of a policy together (steps.ts), once for submitted mail and once for other mail. Pure. */
import type { Addressee, Addresses, Changed, EnvelopeStep, Moment } from './envelope.ts';
import { type HeaderSteps, joinSteps } from './header.ts';
import type { Maps } from './maps.ts';
import { STEPS, type StepTerms } from './steps.ts';

/** So many addresses that the client gave are kept of one recipient. Any number of aliases may lead to it. */
const MOST_GIVEN = 100;

export interface CompiledSteps {
  readonly changeSender: (address: string) => Changed<string>;
  readonly changeRecipient: (one: Addressee, moment: Moment) => Changed<readonly Addressee[]>;
  /** Of addresses that were changed before. Each recipient is there once. */
  readonly changeAll: (addresses: Addresses, moment: Moment) => Changed<Addresses>;
  readonly header: HeaderSteps;
}

/** Chooses the steps that have something to do for a message. */
export function compileSteps(
  policy: StepTerms['policy'],
  maps: Maps,
): (isSubmitted: boolean) => CompiledSteps {
  const submitted = compile({ policy, maps, isSubmitted: true });
  const others = compile({ policy, maps, isSubmitted: false });
  return (isSubmitted) => (isSubmitted ? submitted : others);
}

function compile(terms: StepTerms): CompiledSteps {
  const envelope = STEPS.flatMap((step) => step.envelope?.(terms) ?? []);
  const senders = envelope.flatMap(({ sender }) => sender ?? []);
  const recipients = envelope.flatMap(({ recipient }) => recipient ?? []);
  const all = envelope.flatMap((step) => step.all ?? []);
  return {
    changeSender: (address) =>
      address === '' ? { kind: 'changed', to: '' } : chain(senders, address, undefined),
    changeRecipient: (one, moment) => chainMany(recipients, one, moment),
    changeAll: ({ from, to }, moment) =>
      chain(all, { from, to: terms.maps.recipient ? listOnce(to) : to }, moment),
    header: joinSteps(STEPS.flatMap((step) => step.header?.(terms) ?? [])),
  };
}

function chain<Value, More>(
  steps: readonly ((value: Value, more: More) => Changed<Value>)[],
  value: Value,
  more: More,
): Changed<Value> {
  let to = value;
  for (const step of steps) {
    const changed = step(to, more);
    if (changed.kind === 'refused') return changed;
    to = changed.to;
  }
  return { kind: 'changed', to };
}

function chainMany(
  steps: readonly NonNullable<EnvelopeStep['recipient']>[],
  one: Addressee,
  moment: Moment,
): Changed<readonly Addressee[]> {
  let to: readonly Addressee[] = [one];
  for (const step of steps) {
    const next: Addressee[] = [];
    for (const each of to) {
      const changed = each.isFinal ? ({ kind: 'changed', to: [each] } as const) : step(each, moment);
      if (changed.kind === 'refused') return changed;
      next.push(...changed.to);
    }
    to = next;
  }
  return { kind: 'changed', to };
}

/**
 * The first of equal recipients, as the library compares them: without regard to case. It keeps the addresses that the
 * client gave for it.
 */
export function listOnce(to: readonly Addressee[]): readonly Addressee[] {
  const first = new Map<string, Addressee>();
  for (const one of to) {
    const key = one.address.toLowerCase();
    const before = first.get(key);
    first.set(key, before ? joinGiven(before, one) : one);
  }
  return [...first.values()];
}

function joinGiven(one: Addressee, other: Addressee): Addressee {
  if (!one.given && !other.given) return one;
  const given = new Set([...(one.given ?? [one.address]), ...(other.given ?? [other.address])]);
  return { ...one, given: [...given].slice(0, MOST_GIVEN) };
}
