/** What is wrong with the world after a field of a MailRelay was changed, or changed back; and how many were taken. */
import assert from 'node:assert/strict';
import { RULES, TRANSITION_RULES } from '#crds/rules.ts';
import type { MailRelayStatus } from '#crds/status.ts';
import type { Change, SpecName } from '#test/fixtures/changes.ts';
import type { Shot } from './snapshot.ts';

const MESSAGES = [...RULES, ...TRANSITION_RULES].map(({ message }) => message);

export interface Slot {
  readonly namespace: string;
  readonly from: SpecName;
}
type Outcome = { readonly kind: 'taken' } | { readonly kind: 'refused'; readonly message: string };
export interface Tried {
  readonly slot: Slot;
  readonly change: Change;
  readonly outcome: Outcome;
}

/** What was seen while the change stood. */
export function faultsOf(tried: Tried, was: Map<string, Shot>, is: Map<string, Shot>): string[] {
  const { slot, change, outcome } = tried;
  const [before, now] = [was.get(slot.namespace), is.get(slot.namespace)];
  const faults =
    outcome.kind === 'refused'
      ? faultsOfRefusal(change, outcome.message, before, now)
      : [...(change.isTaken ? [] : ['is taken by the API server alone']), ...lostClaims(change, before, now)];
  return faults.map((fault) => `${change.name}: ${fault}`);
}

function faultsOfRefusal({ isTaken }: Change, message: string, before?: Shot, now?: Shot): string[] {
  const isOwn = isTaken && !TRANSITION_RULES.some((rule) => message.includes(rule.message));
  const moved = Object.keys(now?.versions ?? {}).filter(
    (name) => before?.versions[name] !== now?.versions[name],
  );
  return [
    ...(isOwn ? [`is refused by the API server alone: ${message}`] : []),
    ...(ruleIn(message) || message.includes('spec.') ? [] : [`no field is named: ${message}`]),
    ...(moved.length > 0 ? [`is refused, and moves ${moved.join()}`] : []),
  ];
}

/** A pod that leaves has handed its queue over before its claim goes. */
function lostClaims({ field }: Change, before?: Shot, now?: Shot): string[] {
  if (field.path === 'replicas') return [];
  const claims = Object.entries(before?.claims ?? {});
  return claims.filter(([name, uid]) => now?.claims[name] !== uid).map(([name]) => `loses ${name}`);
}

function ruleIn(message: string): string | undefined {
  return MESSAGES.find((rule) => message.includes(rule));
}

export function differences(
  { slot, change }: Tried,
  was: Map<string, Shot>,
  is: Map<string, Shot>,
): string[] {
  const [before, now] = [was.get(slot.namespace), is.get(slot.namespace)];
  const lost = lostClaims(change, before, now).map((fault) => `${change.name}, and back: ${fault}`);
  try {
    assert.deepEqual(now?.world, before?.world);
    return lost;
  } catch (error) {
    return [...lost, `${change.name}, and back: ${(error as Error).message}`];
  }
}

export class Counts {
  readonly #counts = new Map<string, number>();

  add({ outcome }: Tried, shot: Shot | undefined): void {
    const { status } = (shot?.world['MailRelay/relay'] ?? {}) as { status?: MailRelayStatus };
    const stalled = status?.conditions?.find(({ type }) => type === 'Stalled');
    const taken = stalled ? `taken and Stalled ${stalled.reason}` : 'taken';
    const refused = `refused by ${ruleIn(outcome.kind === 'refused' ? outcome.message : '') ? 'a rule' : 'the shape of a field'}`;
    const text = outcome.kind === 'taken' ? taken : refused;
    this.#counts.set(text, (this.#counts.get(text) ?? 0) + 1);
  }

  get text(): string {
    return [...this.#counts].map(([text, count]) => `${count} ${text}`).join(', ');
  }
}
