/** The language of the page, and its texts. */
import { en, type TextKey, type Texts } from './texts/en.ts';
import { zh } from './texts/zh.ts';

export const LANGUAGES: Readonly<Record<string, Texts>> = { en, 'zh-CN': zh };

const KEPT = 'mailrelay-language';
let language = 'en';

export function currentLanguage(): string {
  return language;
}

export function setLanguage(chosen: string): void {
  language = Object.hasOwn(LANGUAGES, chosen) ? chosen : 'en';
  document.documentElement.lang = language;
}

/** The language that the person chose before, else the first of the browser that there is. */
export function findLanguage(): string {
  const wanted = [localStorage.getItem(KEPT) ?? '', ...navigator.languages];
  const known = wanted.map((one) => (one.startsWith('zh') ? 'zh-CN' : one.slice(0, 2)));
  return known.find((one) => Object.hasOwn(LANGUAGES, one)) ?? 'en';
}

export function keepLanguage(chosen: string): void {
  localStorage.setItem(KEPT, chosen);
}

/** The text with its {places} filled. */
export function say(key: TextKey, values: Readonly<Record<string, string | number>> = {}): string {
  const text = (LANGUAGES[language] ?? en)[key];
  return text.replace(/\{(\w+)\}/g, (place, name: string) => String(values[name] ?? place));
}
