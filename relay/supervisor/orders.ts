/**
 * Brings the order of the mounted files into force: a policy, for a pod that stays or is evacuated. If that is not
 * possible, the order before stays in force, and the log and the status say why. A policy that is invalid stays refused
 * until a file changes. A start or a port may fail for a moment only, so such an order is tried again by itself.
 */
import type { PodStatus } from '#crds/podstatus.ts';
import { hashContent, type ParsedPolicy, type Policy, printPolicy } from '#crds/policyfile.ts';
import { parseScale } from '#crds/scalefile.ts';
import { monotonic } from '../task/clock.ts';
import type { PairText } from '../task/messages.ts';
import { type Evacuation, planEvacuation } from './evacuation.ts';
import type { Inputs } from './inputs.ts';
import { hashOfText } from './judge.ts';
import { keep } from './keptfile.ts';
import { awaitsMount } from './missing.ts';
import type { RelayOptions } from './options.ts';
import type { RestartPlan } from './plan.ts';
import { Retry } from './retry.ts';
import type { Service } from './service.ts';

type Refused = NonNullable<PodStatus['policy']['refused']>;

type Outcome =
  | { kind: 'inForce' }
  /** For a pod with the mounts of the policy. */
  | { kind: 'left' }
  | ({ kind: 'invalid' } & Refused)
  /** A start or a port failed. Nothing was changed. */
  | ({ kind: 'failed' } & Refused);

export class Orders {
  readonly #options: RelayOptions;
  readonly #service: Service;
  readonly #hostPair: () => PairText | null;
  readonly #onChange: () => void;
  readonly #retry: Retry;
  #refused: Refused | null = null;
  /** An invalid policy is not logged again when only a failed start is tried again. */
  #isInvalidLogged = false;
  #scaleOrderInForce: string | undefined;

  constructor(
    options: RelayOptions,
    service: Service,
    hostPair: () => PairText | null,
    onChange: () => void,
  ) {
    this.#options = options;
    this.#service = service;
    this.#hostPair = hostPair;
    this.#onChange = onChange;
    this.#retry = new Retry(monotonic, options.retryMs);
  }

  get refused(): Refused | null {
    return this.#refused;
  }

  get scaleOrderInForce(): string | undefined {
    return this.#scaleOrderInForce;
  }

  /** True if the order should be tried again, although no file has changed. */
  isDue(): boolean {
    return this.#retry.isDue();
  }

  /** Files have changed: what failed before them no longer counts. */
  begin(): void {
    this.#retry.forget();
    this.#isInvalidLogged = false;
  }

  evacuationBy({ scale }: Inputs): Evacuation | null {
    return planEvacuation(parseScale(scale ?? ''), this.#options.among, this.#hostPair());
  }

  /** The first policy: the mounted one, or the last good one. Throws if its tasks do not start. */
  async start(mounted: ParsedPolicy, policy: Policy, inputs: Inputs): Promise<void> {
    if (mounted.kind === 'invalid') this.#tell(describeInvalid(mounted.message, inputs));
    const outcome = await this.#apply(policy, inputs);
    if (outcome.kind === 'failed') throw new Error(outcome.message);
    this.#scaleOrderInForce = parseScale(inputs.scale ?? '')?.order;
  }

  /** Never throws for an order that fails: the log and the status have the reason, and `isDue` says when to call again. */
  async follow(mounted: ParsedPolicy, inputs: Inputs): Promise<void> {
    const current = this.#service.policy;
    const taken = await this.#take(mounted, inputs);
    this.#refused = null;
    this.#tell(taken);
    let followed = taken;
    // A pod follows an evacuation even if the mounted policy was refused. The same order is not tried twice in a row.
    if (current && taken.kind !== 'inForce' && !isSame(mounted, current)) {
      followed = await this.#apply(current, inputs);
      this.#tell(followed);
    }
    if (followed.kind === 'inForce') this.#scaleOrderInForce = parseScale(inputs.scale ?? '')?.order;
    if (taken.kind === 'failed' || followed.kind === 'failed') this.#retry.failed();
    else this.#retry.forget();
  }

  async #take(mounted: ParsedPolicy, inputs: Inputs): Promise<Outcome> {
    if (mounted.kind === 'invalid') return describeInvalid(mounted.message, inputs);
    const { policy } = mounted;
    const { policy: current } = this.#service;
    const hash = hashContent(policy);
    if (current && current.queue.mode !== policy.queue.mode)
      return { kind: 'invalid', hash, message: 'queue.mode cannot change while the relay runs' };
    // A pod with the mount will soon replace this one. Until then the old policy is right.
    if (current && !isSame(mounted, current) && awaitsMount(policy, inputs.materials)) {
      this.#options.log('policy_awaits_mount', { hash });
      return { kind: 'left' };
    }
    return this.#apply(policy, inputs);
  }

  /** Brings a policy into force, for a pod that stays or is evacuated. */
  async #apply(policy: Policy, inputs: Inputs): Promise<Outcome> {
    const { log, stateDir } = this.#options;
    const order = { policy, evacuation: policy.queue.mode === 'Durable' ? this.evacuationBy(inputs) : null };
    if (this.#service.isOrdered(order)) return { kind: 'inForce' };
    const before = this.#service.policy;
    const applied = await this.#service.apply(order, inputs.materials, this.#hostPair());
    if (applied.kind === 'failed')
      return { kind: 'failed', hash: hashContent(policy), message: applied.message };
    log.obey(policy.logging, stateDir);
    keep(stateDir, log, 'lastGood', printPolicy(policy));
    this.#tellChange(before, policy, applied.plan);
    this.#onChange();
    return { kind: 'inForce' };
  }

  #tellChange(before: Policy | undefined, policy: Policy, { listener, router }: RestartPlan): void {
    const hash = hashContent(policy);
    const what = before && hashContent(before) === hash ? 'scale_changed' : 'policy_changed';
    this.#options.log(before ? what : 'policy_in_force', {
      hash,
      listener: listener ? 'restarted' : 'kept',
      router: router ? 'restarted' : 'kept',
    });
  }

  /** The status has the first of two reasons: that of the mounted policy. */
  #tell(outcome: Outcome): void {
    if (outcome.kind !== 'invalid' && outcome.kind !== 'failed') return;
    const { kind, hash, message } = outcome;
    this.#refused ??= { hash, message };
    if (kind === 'failed' || !this.#isInvalidLogged) this.#options.log('policy_refused', { hash, message });
    if (kind === 'invalid') this.#isInvalidLogged = true;
    this.#onChange();
  }
}

function describeInvalid(message: string, { policy }: Inputs): Outcome {
  return { kind: 'invalid', hash: hashOfText(policy), message };
}

function isSame(mounted: ParsedPolicy, current: Policy): boolean {
  return mounted.kind === 'policy' && hashContent(mounted.policy) === hashContent(current);
}
