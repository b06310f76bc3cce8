/** The story of one message, line by line: how it came, each answer of a next hop, and what it waits for. */
import { html } from 'htm/preact';
import { useEffect, useState } from 'preact/hooks';
import type { HistoryEntry } from '#relay/history/entry.ts';
import type { Look, MessageKey, Story } from '../api.ts';
import { Actions } from './acting.ts';
import { ask } from './backend.ts';
import { formatBytes } from './format.ts';
import { Facts, Originals, Problems, showSender, Time } from './parts.ts';
import { Recipient, STATE_NAMES } from './queue.ts';
import type { TextKey } from './texts/en.ts';
import { say } from './texts.ts';

type State = HistoryEntry['recipients'][number]['state'] | 'deferred';

export const OUTCOMES: Readonly<Record<State, TextKey>> = {
  queued: 'queued',
  deferred: 'deferred',
  delivered: 'delivered',
  bounced: 'bounced',
  expired: 'expired',
  removed: 'removed',
  discarded: 'discarded',
  gone: 'gone',
};

interface Props {
  readonly look: Look;
  readonly message: MessageKey;
  readonly announce: (text: string) => void;
}

export function StoryView({ look, message, announce }: Props) {
  const [turn, again] = useState(0);
  const [story, tell] = useState<Story | undefined>(undefined);
  const { pod, id } = message;
  useEffect(() => {
    let isOver = false;
    ask('story', { pod, id })
      .catch((error: Error) => ({ queued: null, history: null, problems: [error.message] }))
      .then((found) => void (isOver || tell(found)));
    return () => {
      isOver = true;
    };
  }, [pod, id, turn, look]);
  return html`<section class="panel" aria-labelledby="story-title">
    <h2 id="story-title">${say('story', { id })}</h2>
    ${story && html`<${Told} story=${story} />`}
    ${
      look.allowsChanges &&
      story?.queued &&
      html`<div class="bar"><${Actions} messages=${[message]} announce=${announce} onDone=${() => again(turn + 1)} /></div>`
    }
  </section>`;
}

function Told({ story: { queued, history, problems } }: { readonly story: Story }) {
  const known = history ?? queued;
  if (!known) return html`<${Problems} of=${problems} /><p class="quiet">${say('unknownMessage')}</p>`;
  return html`
    <${Facts} of=${[
      [say('sender'), html`${showSender(known.from)}<${Originals} of=${history?.originalFrom} />`],
      [
        say('state'),
        queued
          ? html`<span class=${`state ${queued.state}`}>${say(STATE_NAMES[queued.state])}</span>`
          : undefined,
      ],
      [say('messageId'), history?.messageId && html`<code>${history.messageId}</code>`],
    ]} />
    <h3>${say('storyLines')}</h3>
    <ol class="story">
      <li><${Time} at=${known.received} /><span>${say('receivedLine', { sender: showSender(known.from), size: formatBytes(known.bytes) })}</span></li>
      ${history && listAnswers(history).map((line) => html`<${Line} ...${line} />`)}
      ${queued?.recipients.map((one) => html`<li><span class="quiet">${say('waits')}</span><${Recipient} ...${one} reason=${history ? undefined : one.reason} isQueued=${queued.state === 'queued'} /></li>`)}
    </ol>
    ${problems.map((text) => html`<p class="quiet">${text}</p>`)}
  `;
}

interface AnswerLine {
  readonly time: string;
  readonly address: string;
  readonly result: State;
  readonly hop?: string;
  readonly text: string;
}

/** The answers for all recipients, the oldest first. */
function listAnswers({ recipients }: HistoryEntry): AnswerLine[] {
  return recipients
    .flatMap(({ address, answers }) => answers.map((one) => ({ address, ...one })))
    .toSorted((a, b) => a.time.localeCompare(b.time));
}

function Line({ time, address, result, hop, text }: AnswerLine) {
  return html`<li>
    <${Time} at=${time} />
    <span><b class=${`outcome ${result}`}>${say(OUTCOMES[result])}</b> ${address} ${hop && html`<span class="quiet">${say('by', { hop })}</span>`}
      <span class="reason">${text}</span></span>
  </li>`;
}
