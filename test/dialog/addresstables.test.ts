/** Tables of addresses in ConfigMaps and Secrets: their order, their changes while the relay runs, and one that is missing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '#test/kit/wait.ts';
import { answer, OURS, rigWith, send } from './rewritten.ts';
import { Rig } from './rig.ts';

test('tables of ConfigMaps and Secrets: in order, packed or not, changed while the relay runs', async () => {
  const table = (...lines: string[]) => `# a table\n${lines.join('\n')}\n`;
  const story = (aliases: string): Parameters<typeof Rig.start>[0] => ({
    listeners: { smtp: {} },
    inbound: { clients: { networks: [OURS] }, acceptDomains: ['y.example'] },
    spec: (hop) => ({
      outbound: { tls: { discover: [] }, smartHosts: [{ host: '127.0.0.1', port: hop }] },
      addresses: {
        recipient: {
          entries: [{ address: 'inline@y.example', to: ['first@y.example'] }],
          tables: [
            { configMapName: 'aliases', key: 'virtual' },
            { secretName: 'people', key: 'people.gz' },
          ],
        },
        sender: { tables: [{ configMapName: 'aliases', key: 'senders' }] },
      },
    }),
    configMaps: {
      aliases: {
        virtual: aliases,
        senders: table('@x.example @z.example', 'bad@x.example REJECT 5.7.1 Not you'),
      },
    },
    secrets: {
      people: { 'people.gz': table('inline@y.example second@y.example', 'ann@y.example ann@store.example') },
    },
  });
  const good = table(
    'sales@y.example\tann@y.example,',
    '  bob@y.example',
    '@old.example @y.example',
    'postmaster@y.example root',
  );
  const rig = await Rig.start(story(good));
  const recipients = async (id: string, count: number) => {
    const all = () => rig.hop.arrived.filter((one) => one.id === id).flatMap(({ to }) => to);
    await until(`${count} recipients of ${id}`, () => all().length >= count);
    return all().toSorted();
  };
  try {
    assert.equal((await send(rig, 'one', { to: ['inline@y.example'] })).from, 'a@z.example');
    assert.deepEqual(await recipients('one', 1), ['first@y.example']);
    await send(rig, 'two', { to: ['sales@y.example'] });
    assert.deepEqual(await recipients('two', 2), ['ann@store.example', 'bob@y.example']);
    await send(rig, 'user', { to: ['postmaster'] });
    assert.deepEqual(await recipients('user', 1), ['root@y.example']);
    assert.match(await answer(rig, ['MAIL FROM:<Bad@x.example>']), /^550 5\.7\.1 Not you/);

    await rig.edit(story(table('sales@y.example carl@y.example')));
    await rig.logged({ event: 'table_loaded', table: 'ConfigMap/aliases/virtual', entries: 1 });
    await until('the new table', async () =>
      (await answer(rig, ['MAIL FROM:<a@x.example>', 'RCPT TO:<sales@y.example>'])).startsWith('250'),
    );
    await send(rig, 'three', { to: ['sales@y.example'] });
    assert.deepEqual(await recipients('three', 1), ['carl@y.example']);

    await rig.edit(story(table('sales@y.example', 'dan@y.example')));
    const { reason } = await rig.logged({ event: 'table_unreadable' });
    assert.match(String(reason), /^has a wrong line 2 /);
    await send(rig, 'four', { to: ['sales@y.example'] });
    assert.deepEqual(await recipients('four', 1), ['carl@y.example'], 'the last good table stays');
  } finally {
    await rig.end();
  }
});

test('mail that needs a table that is missing is answered 451, and other mail passes', async () => {
  const rig = await rigWith({
    recipient: {
      entries: [
        { address: 'inline@y.example', to: ['first@y.example', 'first@y.example'] },
        { address: 'first@y.example', to: ['first@y.example'] },
      ],
      tables: [{ configMapName: 'nowhere', key: 'virtual' }],
    },
  });
  try {
    assert.match(await answer(rig, ['MAIL FROM:<a@x.example>', 'RCPT TO:<b@y.example>']), /^451 4\.3\.0 /);
    assert.match(await answer(rig, ['MAIL FROM:<a@x.example>', 'RCPT TO:<inline@y.example>']), /^250 /);
  } finally {
    await rig.end();
  }
});
