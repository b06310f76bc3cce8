/** The frame of the page: name of the relay, sections, language, and what is announced. */
import { html } from 'htm/preact';
import { useEffect, useState } from 'preact/hooks';
import { Find } from './find.ts';
import { type Seen, useLooks } from './looking.ts';
import { Overview } from './overview.ts';
import { Queue } from './queue.ts';
import { linkSection, type Route, SECTIONS, useRoute } from './route.ts';
import { Sessions } from './sessions.ts';
import { StoryView } from './story.ts';
import { findLanguage, keepLanguage, LANGUAGES, say, setLanguage } from './texts.ts';
import { Trace } from './trace.ts';

export function App() {
  const [language, choose] = useState(findLanguage);
  const [notice, announce] = useState('');
  const seen = useLooks();
  const route = useRoute();
  setLanguage(language);
  const title = seen.look?.title ?? '';
  useEffect(() => {
    document.title = title === '' ? 'mailrelay console' : `${title} - mailrelay console`;
  }, [title]);
  useEffect(() => announce(''), [JSON.stringify(route)]);
  const onLanguage = (chosen: string) => {
    keepLanguage(chosen);
    choose(chosen);
  };
  const problem = seen.problem && say('lost', { problem: seen.problem });
  return html`
    <a class="skip" href="#main" onClick=${skip}>${say('skip')}</a>
    <${Header} seen=${seen} route=${route} language=${language} onLanguage=${onLanguage} />
    ${problem && html`<p class="alert" role="alert">${problem}</p>`}
    <p class="notice" role="status" aria-live="polite">${notice}</p>
    <main id="main" tabindex="-1"><${Content} seen=${seen} route=${route} announce=${announce} /></main>
  `;
}

function skip(event: Event): void {
  event.preventDefault();
  document.getElementById('main')?.focus();
}

interface HeaderProps {
  readonly seen: Seen;
  readonly route: Route;
  readonly language: string;
  readonly onLanguage: (language: string) => void;
}

function Header({ seen: { look }, route, language, onLanguage }: HeaderProps) {
  const here = route.kind === 'section' ? route.section : 'queue';
  const power = look?.allowsChanges ? 'mayChange' : 'readOnly';
  return html`
    <header>
      <h1><span class="product">mailrelay</span> ${look?.title ?? ''}</h1>
      <nav aria-label=${say('sections')}>
        ${SECTIONS.map(
          (one) =>
            html`<a href=${linkSection(one)} aria-current=${one === here ? 'page' : undefined}>${say(one)}</a>`,
        )}
      </nav>
      ${look && html`<span class="power" title=${look.allowsChanges ? undefined : say('readOnlyCure')}>${say(power)}</span>`}
      <label class="language">
        <span class="unseen">${say('languages')}</span>
        <select value=${language} onChange=${({ target }: Event) => onLanguage((target as HTMLSelectElement).value)}>
          ${Object.entries(LANGUAGES).map(
            ([code, texts]) =>
              html`<option value=${code} lang=${code} selected=${code === language}>${texts.language}</option>`,
          )}
        </select>
      </label>
    </header>
  `;
}

interface ContentProps {
  readonly seen: Seen;
  readonly route: Route;
  readonly announce: (text: string) => void;
}

function Content({ seen, route, announce }: ContentProps) {
  const { look, samples } = seen;
  if (!look) return html`<p class="quiet">${seen.problem ? '' : say('loading')}</p>`;
  if (route.kind === 'message')
    return html`<${StoryView} look=${look} key=${route.key.id} message=${route.key} announce=${announce} />`;
  switch (route.section) {
    case 'overview':
      return html`<${Overview} look=${look} samples=${samples} pod=${route.pod} />`;
    case 'sessions':
      return html`<${Sessions} look=${look} />`;
    case 'queue':
      return html`<${Queue} look=${look} announce=${announce} />`;
    case 'find':
      return html`<${Find} />`;
    case 'trace':
      return html`<${Trace} />`;
  }
}
