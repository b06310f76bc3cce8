/** Finds mail in the history of the relay, also mail that is gone from the queue. */
import { html } from 'htm/preact';
import { useState } from 'preact/hooks';
import type { FindAnswer } from '../api.ts';
import { ask } from './backend.ts';
import { formatCount } from './format.ts';
import { Originals, Problems, showSender, Table, Time } from './parts.ts';
import { linkMessage } from './route.ts';
import { OUTCOMES } from './story.ts';
import { say } from './texts.ts';

export function Find() {
  const [answer, setAnswer] = useState<FindAnswer | undefined>(undefined);
  const search = async (event: Event) => {
    event.preventDefault();
    const who = String(new FormData(event.target as HTMLFormElement).get('who'));
    setAnswer(
      await ask('find', { who }).catch((error: Error) => ({
        entries: [],
        isCut: false,
        problems: [error.message],
      })),
    );
  };
  return html`<section class="panel" aria-label=${say('find')}>
    <form class="bar" role="search" onSubmit=${search}>
      <label class="grow"><span class="unseen">${say('who')}</span>
        <input type="search" name="who" placeholder=${say('who')} /></label>
      <button type="submit" class="main">${say('findButton')}</button>
    </form>
    ${answer && html`<${Found} answer=${answer} />`}
  </section>`;
}

function Found({ answer: { entries, isCut, problems } }: { readonly answer: FindAnswer }) {
  const count = formatCount(entries.length);
  const told = entries.length === 0 ? say('notFound') : say(isCut ? 'foundNewest' : 'found', { count });
  const rows = entries.map((entry) => [
    html`<a href=${linkMessage(entry)}><code>${entry.id}</code></a>`,
    html`<${Time} at=${entry.received} />`,
    html`${showSender(entry.from)}<${Originals} of=${entry.originalFrom} />`,
    entry.recipients.map(
      ({ address, originalTo, state }) =>
        html`<div>${address}<${Originals} of=${originalTo} /> <b class=${`outcome ${state}`}>${say(OUTCOMES[state])}</b></div>`,
    ),
  ]);
  const heads = [say('message'), say('received'), say('sender'), say('recipients')];
  return html`
    <${Problems} of=${problems} />
    ${(problems.length === 0 || isCut) && html`<p class="quiet" role="status">${told}</p>`}
    ${rows.length > 0 && html`<${Table} caption=${say('find')} heads=${heads} rows=${rows} />`}
  `;
}
