/** The queue: search, choose, and act on messages. The list is read again with each look while it is short. */
import { html } from 'htm/preact';
import { useEffect, useState } from 'preact/hooks';
import type { Look, QueueAnswer, QueuedMessage } from '../api.ts';
import { Actions } from './acting.ts';
import { ask } from './backend.ts';
import { formatAge, formatBytes, formatCount, formatTime } from './format.ts';
import { Problems, showSender } from './parts.ts';
import { linkMessage } from './route.ts';
import { say } from './texts.ts';

const STATES = [
  ['', 'anyState'],
  ['queued', 'queued'],
  ['held', 'heldState'],
  ['damaged', 'damaged'],
] as const;
export const STATE_NAMES = { queued: 'queued', held: 'heldState', damaged: 'damaged' } as const;
const SHORT = 500;
const TYPING_MS = 250;

interface Props {
  readonly look: Look;
  readonly announce: (text: string) => void;
}

export function Queue({ look, announce }: Props) {
  const [text, setText] = useState('');
  const [state, setState] = useState('');
  const [turn, again] = useState(0);
  const [answer, setAnswer] = useState<QueueAnswer | undefined>(undefined);
  const [chosen, choose] = useState<ReadonlySet<string>>(new Set());
  const depth = look.pods.reduce((sum, { status }) => sum + (status?.queue.depth ?? 0), 0);
  useEffect(() => {
    let isOver = false;
    const read = () =>
      ask('queue', { text, state })
        .catch((error: Error) => ({ messages: 0, bytes: 0, entries: [], problems: [error.message] }))
        .then((found) => void (isOver || setAnswer(found)));
    const timer = window.setTimeout(read, answer ? TYPING_MS : 0);
    return () => {
      isOver = true;
      window.clearTimeout(timer);
    };
  }, [text, state, turn, depth <= SHORT ? look : undefined]);
  const entries = answer?.entries ?? [];
  const messages = entries.filter((one) => chosen.has(keyOf(one)));
  const refresh = () => again(turn + 1);
  return html`<section class="panel" aria-label=${say('queue')}>
    <form class="bar" role="search" onSubmit=${(event: Event) => event.preventDefault()}>
      <label class="grow"><span class="unseen">${say('search')}</span>
        <input type="search" placeholder=${say('search')} value=${text}
          onInput=${({ target }: Event) => setText((target as HTMLInputElement).value)} /></label>
      <label><span class="unseen">${say('state')}</span>
        <select value=${state} onChange=${({ target }: Event) => setState((target as HTMLSelectElement).value)}>
          ${STATES.map(([value, name]) => html`<option value=${value}>${say(name)}</option>`)}
        </select></label>
      <button type="button" onClick=${refresh}>${say('refresh')}</button>
    </form>
    ${answer && html`<${Problems} of=${answer.problems} />`}
    <div class="bar">
      ${look.allowsChanges && html`<${Actions} messages=${messages} announce=${announce} onDone=${refresh} />`}
      <p class="quiet">${look.allowsChanges ? say('selected', { count: messages.length }) : say('readOnlyCure')}</p>
      ${answer && html`<p class="quiet end">${describeList(answer)}</p>`}
    </div>
    ${answer && html`<${List} entries=${entries} canChoose=${look.allowsChanges} chosen=${chosen} choose=${choose} />`}
  </section>`;
}

function describeList({ messages, bytes, entries }: QueueAnswer): string {
  const all = say('matching', { count: formatCount(messages), size: formatBytes(bytes) });
  return messages > entries.length ? `${all} ${say('shown', { count: entries.length })}` : all;
}

interface ListProps {
  readonly entries: readonly QueuedMessage[];
  readonly canChoose: boolean;
  readonly chosen: ReadonlySet<string>;
  readonly choose: (chosen: ReadonlySet<string>) => void;
}

function List({ entries, canChoose, chosen, choose }: ListProps) {
  if (entries.length === 0) return html`<p class="quiet">${say('emptyQueue')}</p>`;
  const keys = entries.map(keyOf);
  const areAll = keys.every((key) => chosen.has(key));
  const toggle = (key: string) =>
    choose(chosen.has(key) ? new Set([...chosen].filter((one) => one !== key)) : new Set([...chosen, key]));
  const heads = ['message', 'state', 'age', 'size', 'sender', 'recipients'] as const;
  return html`<div class="wide"><table class="queue">
    <caption class="unseen">${say('queue')}</caption>
    <thead><tr>
      ${
        canChoose &&
        html`<td><input type="checkbox" aria-label=${say('selectAll')} checked=${areAll}
          onChange=${() => choose(new Set(areAll ? [] : keys))} /></td>`
      }
      ${heads.map((head) => html`<th scope="col">${say(head)}</th>`)}
    </tr></thead>
    <tbody>${entries.map(
      (entry) =>
        html`<${Row} key=${keyOf(entry)} entry=${entry} toggle=${canChoose ? toggle : undefined} isChosen=${chosen.has(keyOf(entry))} />`,
    )}</tbody>
  </table></div>`;
}

interface RowProps {
  readonly entry: QueuedMessage;
  readonly isChosen: boolean;
  readonly toggle: ((key: string) => void) | undefined;
}

function Row({ entry, isChosen, toggle }: RowProps) {
  const { id, state, received, bytes, from, recipients } = entry;
  const age = (Date.now() - Date.parse(received)) / 1000;
  return html`<tr class=${isChosen ? 'chosen' : undefined}>
    ${
      toggle &&
      html`<td><input type="checkbox" aria-label=${say('select', { id })} checked=${isChosen}
        onChange=${() => toggle(keyOf(entry))} /></td>`
    }
    <th scope="row"><a href=${linkMessage(entry)}><code>${id}</code></a></th>
    <td><span class=${`state ${state}`}>${say(STATE_NAMES[state])}</span></td>
    <td class="narrow">${formatAge(age)}</td>
    <td class="narrow">${formatBytes(bytes)}</td>
    <td>${showSender(from)}</td>
    <td>${recipients.map((one) => html`<${Recipient} ...${one} isQueued=${state === 'queued'} />`)}</td>
  </tr>`;
}

type RecipientProps = QueuedMessage['recipients'][number] & { readonly isQueued: boolean };

export function Recipient({ address, destination, nextAttempt, reason, isQueued }: RecipientProps) {
  const when =
    nextAttempt === undefined
      ? say('underway')
      : say('nextAttempt', { time: formatTime(nextAttempt, Date.now()) });
  return html`<div class="recipient">
    ${address} <span class="quiet">→ ${destination}${isQueued && html` · ${when}`}</span>
    ${reason && html`<div class="reason">${reason}</div>`}
  </div>`;
}

function keyOf({ pod, id }: QueuedMessage): string {
  return `${pod}/${id}`;
}
