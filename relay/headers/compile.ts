/** Puts the steps of a policy together (steps.ts), once for submitted mail and once for other mail. Pure. */
import type { Addressee, Addresses, Changed, EnvelopeStep, Moment } from './envelope.ts';
import { type HeaderSteps, joinSteps } from './header.ts';
import type { Maps } from './maps.ts';
import { STEPS, type StepTerms } from './steps.ts';
import { joinWishes } from './wishes.ts';

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
    changeAll: ({ from, to }, moment) => {
      // The steps ask for each address that the client gave: only their result is bounded.
      const changed = chain(all, { from, to: listOnce(to) }, moment);
      return changed.kind === 'refused'
        ? changed
        : { kind: 'changed', to: { ...changed.to, to: listBounded(changed.to.to) } };
    },
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
 * client gave for it, and what the sender wants to be told of each of them.
 */
export function listOnce(to: readonly Addressee[]): readonly Addressee[] {
  if (to.length < 2) return to;
  const equal = Map.groupBy(to, ({ address }) => address.toLowerCase());
  return [...equal.values()].flatMap((all) => {
    const [first] = all;
    if (!first || all.length === 1) return first ?? [];
    const { notify: _, orcpt: __, ...one } = first;
    const isChanged = all.some(({ given }) => given !== undefined);
    const given = [...new Set(all.flatMap(({ address, given }) => given ?? [address]))];
    return { ...one, ...joinWishes(all), ...(isChanged ? { given } : {}) };
  });
}

/** The same recipients, each with no more addresses of the client than a record may have. */
export function listBounded(to: readonly Addressee[]): readonly Addressee[] {
  return to.map((one) => (one.given ? { ...one, given: one.given.slice(0, MOST_GIVEN) } : one));
}
