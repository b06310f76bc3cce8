/** The older version, which the cluster's tests upgrade from, can still be made of these sources (test/cluster/older.ts). */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { withOlderSources } from '../cluster/older.ts';

test('the sources of the older version can be made', () => {
  assert.ok(withOlderSources((sources) => existsSync(join(sources, 'relay/supervisor/status.ts'))));
});
