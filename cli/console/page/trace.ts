/** The last lines of the SMTP trace, which the MailRelay turns on. */
import { html } from 'htm/preact';
import { useEffect, useState } from 'preact/hooks';
import type { TraceAnswer } from '../api.ts';
import { ask } from './backend.ts';
import { Problems } from './parts.ts';
import { say } from './texts.ts';

const EXAMPLE = 'spec:\n  trace: {level: 3, until: "2030-01-31T18:00:00Z"}';

export function Trace() {
  const [peer, setPeer] = useState('');
  const [turn, again] = useState(0);
  const [answer, setAnswer] = useState<TraceAnswer | undefined>(undefined);
  useEffect(() => {
    let isOver = false;
    ask('trace', { peer })
      .catch((error: Error) => ({ lines: [], problems: [error.message] }))
      .then((found) => void (isOver || setAnswer(found)));
    return () => {
      isOver = true;
    };
  }, [peer, turn]);
  return html`<section class="panel" aria-label=${say('trace')}>
    <form class="bar" role="search" onSubmit=${(event: Event) => event.preventDefault()}>
      <label class="grow"><span class="unseen">${say('peer')}</span>
        <input type="search" placeholder=${say('peer')} value=${peer}
          onChange=${({ target }: Event) => setPeer((target as HTMLInputElement).value)} /></label>
      <button type="button" onClick=${() => again(turn + 1)}>${say('refresh')}</button>
    </form>
    ${answer && html`<${Lines} answer=${answer} />`}
  </section>`;
}

function Lines({ answer: { lines, problems } }: { readonly answer: TraceAnswer }) {
  const isOne = new Set(lines.map(({ pod }) => pod)).size <= 1;
  const text = lines.map((line) => (isOne ? line.text : `${line.pod} ${line.text}`)).join('\n');
  if (lines.length > 0)
    return html`<${Problems} of=${problems} />
      <pre class="lines" tabindex="0" role="region" aria-label=${say('traceLines')}>${text}</pre>`;
  return html`<${Problems} of=${problems} />
    ${problems.length === 0 && html`<p class="quiet">${say('traceEmpty')}</p><pre>${EXAMPLE}</pre>`}`;
}
