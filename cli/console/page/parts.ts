/** Small parts that the sections share. */
import { html } from 'htm/preact';
import type { ComponentChildren } from 'preact';
import { formatTime } from './format.ts';
import { say } from './texts.ts';

export function Time({ at }: { readonly at: string }) {
  return html`<time datetime=${at} title=${at}>${formatTime(at, Date.now())}</time>`;
}

export function Problems({ of }: { readonly of: readonly string[] }) {
  return of.map((text) => html`<p class="alert" role="alert">${text}</p>`);
}

interface PanelProps {
  readonly title: string;
  readonly class?: string;
  readonly children: ComponentChildren;
}

/** A part of a section with a heading of its own. */
export function Panel({ title, class: name = '', children }: PanelProps) {
  return html`<section class=${`panel ${name}`} aria-label=${title}><h2>${title}</h2>${children}</section>`;
}

/** Names with their values. Values that are undefined are left out. */
export function Facts({ of }: { readonly of: readonly (readonly [string, unknown])[] }) {
  const known = of.filter(([, value]) => value !== undefined && value !== '');
  return html`<dl class="facts">
    ${known.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}
  </dl>`;
}

interface TableProps {
  readonly caption: string;
  readonly heads: readonly string[];
  /** The first cell of a row names it. */
  readonly rows: readonly (readonly unknown[])[];
  /** Columns of numbers, by their places. */
  readonly numbers?: readonly number[];
}

export function Table({ caption, heads, rows, numbers = [] }: TableProps) {
  const kind = (column: number) => (numbers.includes(column) ? 'number' : undefined);
  return html`<div class="wide"><table>
    <caption class="unseen">${caption}</caption>
    <thead><tr>${heads.map((head, column) => html`<th scope="col" class=${kind(column)}>${head}</th>`)}</tr></thead>
    <tbody>${rows.map(
      ([first, ...others]) =>
        html`<tr><th scope="row">${first}</th>${others.map((cell, index) => html`<td class=${kind(index + 1)}>${cell}</td>`)}</tr>`,
    )}</tbody>
  </table></div>`;
}

export function showSender(from: string): string {
  return from === '' ? say('nullSender') : from;
}

/** The addresses before the relay changed them. */
export function Originals({ of: addresses = [] }: { readonly of?: readonly string[] | undefined }) {
  return (
    addresses.length > 0 &&
    html` <span class="quiet">(${say('was', { addresses: addresses.join(', ') })})</span>`
  );
}
