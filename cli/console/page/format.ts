/** Numbers, sizes and times for people, in the language of the page. */
import { currentLanguage } from './texts.ts';

const UNITS = [
  [86_400, 'day'],
  [3_600, 'hour'],
  [60, 'minute'],
  [1, 'second'],
] as const;

export function formatCount(count: number): string {
  return new Intl.NumberFormat(currentLanguage(), { maximumFractionDigits: count < 10 ? 2 : 0 }).format(
    count,
  );
}

/** The time between two moments, in the largest unit that is exact enough. */
export function formatAge(seconds: number): string {
  const [length, unit] = UNITS.find(([one]) => Math.abs(seconds) >= 2 * one) ?? [1, 'second'];
  return formatUnit(Math.round(Math.abs(seconds) / length), unit);
}

/** A duration of a delivery, from milliseconds to days. */
export function formatSeconds(seconds: number): string {
  if (seconds < 1) return formatUnit(Math.round(seconds * 1000), 'millisecond');
  return seconds < 120 ? formatUnit(Math.round(seconds * 10) / 10, 'second') : formatAge(seconds);
}

function formatUnit(value: number, unit: string): string {
  return new Intl.NumberFormat(currentLanguage(), { style: 'unit', unit, unitDisplay: 'short' }).format(
    value,
  );
}

export function formatBytes(bytes: number): string {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte'];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  // The short form of "byte" has no plural.
  const unitDisplay = power > 0 ? 'short' : 'long';
  const options = { style: 'unit', unit: units[power] ?? 'byte', unitDisplay } as const;
  const digits = { maximumFractionDigits: power > 0 ? 1 : 0 };
  return new Intl.NumberFormat(currentLanguage(), { ...options, ...digits }).format(bytes / 1000 ** power);
}

/** With the date where it is not today. */
export function formatTime(time: string, now: number): string {
  const date = new Date(time);
  const isToday = date.toDateString() === new Date(now).toDateString();
  const day = { year: 'numeric', month: 'short', day: 'numeric' } as const;
  const clock = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' } as const;
  return new Intl.DateTimeFormat(currentLanguage(), isToday ? clock : { ...day, ...clock }).format(date);
}
