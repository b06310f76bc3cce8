/** What a person does with messages: asks the relay, and tells the result in one line. A removal is asked about first. */
import { html } from 'htm/preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { QueueAction } from '#relay/queue/tools.ts';
import type { ActAnswer, MessageKey } from '../api.ts';
import { act } from './backend.ts';
import { formatCount } from './format.ts';
import type { TextKey } from './texts/en.ts';
import { say } from './texts.ts';

const ACTIONS: readonly QueueAction[] = ['hold', 'release', 'retry', 'remove'];

interface Props {
  readonly messages: readonly MessageKey[];
  readonly announce: (text: string) => void;
  /** The relay has answered. */
  readonly onDone: () => void;
}

/** Buttons for the chosen messages. */
export function Actions({ messages, announce, onDone }: Props) {
  const [isAsking, ask] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const run = async (action: QueueAction) => {
    ask(false);
    setBusy(true);
    announce(say('acting'));
    try {
      announce(
        describeAnswer(action, await act({ action, messages: messages.map(({ pod, id }) => ({ pod, id })) })),
      );
    } catch (error) {
      announce((error as Error).message);
    }
    setBusy(false);
    onDone();
  };
  return html`
    <span class="actions">
      ${ACTIONS.map(
        (action) => html`<button type="button" class=${action === 'remove' ? 'danger' : undefined}
          disabled=${isBusy || messages.length === 0}
          onClick=${() => (action === 'remove' ? ask(true) : run(action))}>${say(action)}</button>`,
      )}
    </span>
    ${isAsking && html`<${AskRemoval} count=${messages.length} onCancel=${() => ask(false)} onAgreed=${() => run('remove')} />`}
  `;
}

interface AskProps {
  readonly count: number;
  readonly onCancel: () => void;
  readonly onAgreed: () => void;
}

/** The browser keeps the focus in the dialog, and closes it with Escape. */
function AskRemoval({ count, onCancel, onAgreed }: AskProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return html`<dialog ref=${dialog} aria-labelledby="ask-title" aria-describedby="ask-text" onClose=${onCancel}>
    <h2 id="ask-title">${say('askRemove')}</h2>
    <p id="ask-text">${say('askRemoveText', { count: formatCount(count) })}</p>
    <p class="actions end">
      <button type="button" onClick=${onCancel}>${say('cancel')}</button>
      <button type="button" class="danger filled" onClick=${onAgreed}>${say('remove')}</button>
    </p>
  </dialog>`;
}

function describeAnswer(action: QueueAction, { results, problems }: ActAnswer): string {
  const counts = new Map<TextKey, number>();
  for (const { result, outcome } of results) {
    const key = outcome
      ? nameKey('outcome', outcome)
      : result === 'done'
        ? (`${action}Done` as const)
        : nameKey('result', result);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const told = [...counts].map(([key, count]) => say(key, { count: formatCount(count) }));
  return [...told, ...problems].join(' ');
}

function nameKey<Kind extends string, Value extends string>(
  kind: Kind,
  value: Value,
): `${Kind}${Capitalize<Value>}` {
  return `${kind}${value[0]?.toUpperCase()}${value.slice(1)}` as `${Kind}${Capitalize<Value>}`;
}
