/**
 * The plots of the last hour. Each has two lines at most, which differ in colour and in form. The figures stand beside the
 * name of each plot too, for those who do not see it.
 */
import { html } from 'htm/preact';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import type { Sample } from '../api.ts';
import { formatCount, formatSeconds } from './format.ts';
import type { TextKey } from './texts/en.ts';
import { say } from './texts.ts';

type Figure = Exclude<keyof Sample, 'time'>;

interface Plotted {
  readonly title: TextKey;
  readonly lines: readonly { readonly name: TextKey; readonly figure: Figure }[];
  readonly format: (value: number) => string;
  /** For values that differ by powers of ten. */
  readonly isLogarithmic?: true;
}

const PLOTS: readonly Plotted[] = [
  {
    title: 'flow',
    lines: [
      { name: 'accepted', figure: 'accepted' },
      { name: 'delivered', figure: 'delivered' },
    ],
    format: formatCount,
  },
  {
    title: 'trouble',
    lines: [
      { name: 'refused', figure: 'refused' },
      { name: 'deferred', figure: 'deferred' },
    ],
    format: formatCount,
  },
  {
    title: 'times',
    lines: [
      { name: 'accept', figure: 'acceptSeconds' },
      { name: 'delivery', figure: 'deliverySeconds' },
    ],
    format: formatSeconds,
    isLogarithmic: true,
  },
  {
    title: 'queueLength',
    lines: [
      { name: 'all', figure: 'depth' },
      { name: 'held', figure: 'held' },
    ],
    format: formatCount,
  },
];

const HEIGHT = 132;
/** Of a new console the plot is not stretched over the whole width. */
const LEAST_SECONDS = 300;

export function Plots({ samples }: { readonly samples: readonly Sample[] }) {
  return html`<section aria-label=${say('plots')}>
    <h2 class="unseen">${say('plots')}</h2>
    ${samples.length < 2 && html`<p class="quiet">${say('noSamples')}</p>`}
    <div class="plots">${PLOTS.map((one) => html`<${Plot} key=${one.title} plotted=${one} samples=${samples} />`)}</div>
  </section>`;
}

interface PlotProps {
  readonly plotted: Plotted;
  readonly samples: readonly Sample[];
}

function Plot({ plotted, samples }: PlotProps) {
  const place = useRef<HTMLDivElement>(null);
  const drawn = useRef<uPlot | undefined>(undefined);
  const latest = useRef(samples);
  latest.current = samples;
  const { title, lines, format } = plotted;
  useEffect(() => {
    const element = place.current;
    if (!element) return undefined;
    // It may still be called when the plot has left the page, because Preact cleans up after it has painted.
    const draw = () => {
      drawn.current?.destroy();
      drawn.current = drawPlot(element, plotted);
      drawn.current.setData(readData(plotted, latest.current));
    };
    draw();
    const scheme = window.matchMedia('(prefers-color-scheme: dark)');
    scheme.addEventListener('change', draw);
    const sizes = new ResizeObserver(([entry]) =>
      drawn.current?.setSize({ width: entry?.contentRect.width ?? 0, height: HEIGHT }),
    );
    sizes.observe(element);
    return () => {
      scheme.removeEventListener('change', draw);
      sizes.disconnect();
      drawn.current?.destroy();
    };
  }, []);
  useEffect(() => drawn.current?.setData(readData(plotted, samples)), [samples]);
  const figures = lines.map(({ name, figure }) => ({
    name: say(name),
    value: describeLast(samples, figure, format),
  }));
  const summary = figures.map(({ name, value }) => say('value', { name, value })).join(', ');
  return html`<figure class="plot">
    <figcaption>
      <span class="title">${say(title)}</span>
      ${figures.map(({ name, value }, index) => html`<span class=${`key line${index}`}>${name} <b>${value}</b></span>`)}
    </figcaption>
    <div ref=${place} role="img" aria-label=${`${say(title)}: ${summary}`}></div>
  </figure>`;
}

/** The last value that is known. */
function describeLast(samples: readonly Sample[], figure: Figure, format: Plotted['format']): string {
  const value = samples.findLast((sample) => sample[figure] !== null)?.[figure] ?? null;
  return value === null ? '-' : format(value);
}

function readData({ lines }: Plotted, samples: readonly Sample[]): uPlot.AlignedData {
  return [
    samples.map(({ time }) => time / 1000),
    ...lines.map(({ figure }) => samples.map((one) => one[figure])),
  ];
}

function drawPlot(place: HTMLElement, plotted: Plotted): uPlot {
  const { lines, isLogarithmic } = plotted;
  const style = getComputedStyle(place);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const forms = [
    { stroke: colour('--accent'), width: 1.75, ...(isLogarithmic ? {} : { fill: colour('--wash') }) },
    { stroke: colour('--ink'), width: 1.25, dash: [4, 3] },
  ];
  const series = lines.map((_, index) => ({
    ...forms[index],
    spanGaps: true,
    points: { show: isAlone, size: 5 },
  }));
  const options: uPlot.Options = {
    width: place.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 8, 0, 0],
    scales: {
      x: { range: (_, least, most) => [Math.min(least ?? most, most - LEAST_SECONDS), most] },
      y: isLogarithmic ? { distr: 3 } : { range: (_, __, most) => [0, Math.max(1, (most ?? 0) * 1.1)] },
    },
    axes: makeAxes(plotted, colour('--quiet'), colour('--line'), `11px ${style.fontFamily}`),
    series: [{}, ...series],
  };
  return new uPlot(options, [[], ...lines.map(() => [])], place);
}

/** A single value makes no line, so it is drawn as a point. */
function isAlone({ data }: uPlot, index: number): boolean {
  return (data[index] ?? []).filter((value) => typeof value === 'number').length === 1;
}

/** Of a logarithmic plot, only the powers of ten have a line and a name. */
function makeAxes({ format }: Plotted, stroke: string, line: string, font: string): uPlot.Axis[] {
  const pick: uPlot.Axis.Filter = ({ scales }, ticks) =>
    ticks.map((tick) => (scales['y']?.distr !== 3 || Number.isInteger(roundPower(tick)) ? tick : null));
  const axis = { stroke, font, ticks: { show: false } };
  const name = (ticks: (number | null)[]) => ticks.map((tick) => (tick === null ? '' : format(tick)));
  return [
    { ...axis, size: 24, space: 80, grid: { show: false }, values: (_, ticks) => ticks.map(formatClock) },
    {
      ...axis,
      size: 60,
      space: 28,
      grid: { stroke: line, width: 1, filter: pick },
      filter: pick,
      values: (_, ticks) => name(ticks),
    },
  ];
}

function roundPower(value: number): number {
  return Math.round(Math.log10(value) * 1e6) / 1e6;
}

function formatClock(seconds: number): string {
  return new Date(seconds * 1000).toTimeString().slice(0, 5);
}
