import assert from 'node:assert/strict';
import { test } from 'node:test';
import { en } from './en.ts';
import { zh } from './zh.ts';

const listPlaces = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(([place]) => place).toSorted();

test('every text is there in both languages, with the same places to fill', () => {
  assert.deepEqual(Object.keys(zh).toSorted(), Object.keys(en).toSorted());
  for (const [key, text] of Object.entries(en)) {
    const translated = zh[key as keyof typeof en];
    assert.deepEqual(listPlaces(translated), listPlaces(text), key);
    assert.notEqual(translated.trim(), '', key);
  }
});
