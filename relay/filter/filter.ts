/**
 * The content filter of a policy: asks it about a message, and decides what becomes of the message. Where the filter
 * fails, the policy of the listener decides; nothing passes unfiltered but by that. A failure is logged, counted, and
 * told by the status while no message is judged.
 */
import type { SecureContext } from 'node:tls';
import type { Policy } from '#crds/policyfile.ts';
import type { FilterTerms } from '#crds/policyfilter.ts';
import type { HeaderStep } from '../headers/header.ts';
import type { Log } from '../observe/log.ts';
import type { Counters } from '../task/counts.ts';
import type { Materials } from '../task/materials.ts';
import { rememberContext } from '../task/trustcontext.ts';
import { readAnswer, type Verdict } from './answer.ts';
import { type FilteredMail, renderFacts } from './facts.ts';
import { UNFILTERED } from './fields.ts';
import { ask } from './request.ts';

export type { FilteredMail } from './facts.ts';

export type Decision =
  | {
      readonly kind: 'take';
      readonly step: HeaderStep;
      /** Why a person has to release the message. Absent: it goes on. */
      readonly heldBecause?: string;
    }
  | { readonly kind: 'refuse'; readonly permanent: boolean; readonly text: string }
  | { readonly kind: 'unavailable' };

export interface FilterDeps {
  readonly log: Log;
  readonly counters: Counters;
  /** Monotonic. */
  readonly clock: () => number;
}

function failBecause(error: Error): Verdict {
  return { kind: 'failed', reason: error.message };
}

/** A single lost connection is nothing to tell. */
const FAILING_MS = 10_000;

export class ContentFilter {
  readonly #filter: NonNullable<Policy['inbound']['filter']>;
  readonly #deps: FilterDeps;
  readonly #contextFor: (materials: Materials) => SecureContext;
  #materials: Materials;
  #failing: { readonly since: number; readonly reason: string } | undefined;

  constructor(filter: NonNullable<Policy['inbound']['filter']>, materials: Materials, deps: FilterDeps) {
    this.#filter = filter;
    this.#materials = materials;
    this.#deps = deps;
    this.#contextFor = rememberContext(filter.trustConfigMap);
  }

  use(materials: Materials): void {
    this.#materials = materials;
  }

  /** Why the filter has judged no message for ten seconds. null: it has, or was not asked. */
  get failure(): string | null {
    if (!this.#failing || this.#deps.clock() - this.#failing.since < FAILING_MS) return null;
    return this.#failing.reason;
  }

  async decide(mail: FilteredMail, terms: FilterTerms): Promise<Decision> {
    const { log, counters } = this.#deps;
    const id = mail.trace.queueId;
    const verdict = await this.#judge(mail, terms.timeoutSeconds).catch(failBecause);
    this.#note(verdict);
    if (verdict.kind === 'failed') {
      counters.add('filtered', 'failed');
      log('filter_failed', { id, message: verdict.reason, onFailure: terms.onFailure });
      return terms.onFailure === 'Accept' ? { kind: 'take', step: UNFILTERED } : { kind: 'unavailable' };
    }
    const { action } = verdict;
    counters.add('filtered', action);
    if (action !== 'no action') log('filtered', { id, action });
    if (verdict.kind === 'refuse') return verdict;
    const { kind, changes: step } = verdict;
    return kind === 'hold'
      ? { kind: 'take', step, heldBecause: `the content filter wants to ${action} it` }
      : { kind: 'take', step };
  }

  /** Rejects if the trusted authorities cannot be read. */
  async #judge(mail: FilteredMail, withinSeconds: number): Promise<Verdict> {
    const { url, secret } = this.#filter;
    const password = secret === null ? undefined : this.#materials.secrets[secret]?.['password']?.trim();
    if (secret !== null && !password)
      return { kind: 'failed', reason: `Secret "${secret}" has no key "password"` };
    const headers = renderFacts(mail, password);
    const asked = await ask(url, { headers, body: mail.body, context: this.#makeContext(), withinSeconds });
    return asked.kind === 'answer' ? readAnswer(asked.text) : asked;
  }

  #makeContext(): SecureContext | undefined {
    return this.#filter.url.startsWith('https:') ? this.#contextFor(this.#materials) : undefined;
  }

  #note(verdict: Verdict): void {
    if (verdict.kind !== 'failed') this.#failing = undefined;
    else this.#failing = { since: this.#failing?.since ?? this.#deps.clock(), reason: verdict.reason };
  }
}
