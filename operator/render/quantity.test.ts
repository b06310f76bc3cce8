import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalCpu, canonicalQuantity } from './quantity.ts';

test('amounts are written as the API server writes them', () => {
  const bytes: Readonly<Record<string, string>> = {
    '192Mi': '192Mi',
    '1024Mi': '1Gi',
    '1.5Gi': '1536Mi',
    '1000': '1k',
    '1024': '1024',
    '0': '0',
  };
  const cores: Readonly<Record<string, string>> = {
    '100m': '100m',
    '1000m': '1',
    '1.5': '1500m',
    '0.5': '500m',
    '2': '2',
    '2.0': '2',
    '1000': '1k',
    '0m': '0',
  };
  for (const [given, stored] of Object.entries(bytes)) assert.equal(canonicalQuantity(given), stored, given);
  for (const [given, stored] of Object.entries(cores)) assert.equal(canonicalCpu(given), stored, given);
});
