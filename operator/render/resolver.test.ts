/** The resolver beside the relay: where it stands in the pod, what it may, and what it is told. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { effectivePolicy } from '#crds/effective.ts';
import { relayObject, SETTINGS } from '#test/fixtures/world.ts';
import { isUpToDate, stamped } from '../compare.ts';
import { renderAll } from './index.ts';

interface Container {
  name: string;
  image: string;
  restartPolicy?: string;
  command: string[];
  securityContext: object;
  resources: object;
  volumeMounts: { name: string; subPath?: string; mountPath: string }[];
}
interface PodSpec {
  securityContext: Record<string, unknown>;
  initContainers?: Container[];
  containers: Container[];
  volumes: { name: string; emptyDir?: object }[];
}

function rendered(sidecar: object | undefined, changes: Record<string, unknown> = {}) {
  const relay = relayObject({ ...(sidecar ? { outbound: { resolver: { sidecar } } } : {}), ...changes });
  const objects = renderAll(relay, effectivePolicy(relay.metadata, relay.spec), SETTINGS);
  const find = (kind: string) => objects.find((object) => object.kind === kind) ?? assert.fail(kind);
  const set = find('StatefulSet');
  const { template } = set['spec'] as { template: { spec: PodSpec } };
  const conf = (find('ConfigMap')['data'] as Record<string, string>)['unbound.conf'];
  return { set, pod: template.spec, conf };
}

const IMAGE = 'registry.example/unbound:1.22';

test('it is a sidecar that outlives the relay, restricted, with the user of the pod', () => {
  for (const userIDs of ['Fixed', 'Assigned']) {
    const { pod } = rendered({ image: IMAGE }, { pod: { userIDs } });
    const [sidecar, ...rest] = pod.initContainers ?? [];
    assert.deepEqual([sidecar?.name, sidecar?.image, sidecar?.restartPolicy], ['resolver', IMAGE, 'Always']);
    assert.deepEqual(rest, []);
    // No id of its own: that of the pod, or the one that the cluster assigns.
    assert.deepEqual(sidecar?.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    assert.equal(pod.securityContext['runAsNonRoot'], true);
    assert.deepEqual(pod.securityContext['seccompProfile'], { type: 'RuntimeDefault' });
  }
});

test('it writes into a folder of its own, on the volume or on that of the pod, and sees no mail and no Secret', () => {
  for (const mode of ['Durable', 'CutThrough']) {
    const { pod } = rendered({ image: IMAGE }, { queue: { mode } });
    assert.deepEqual(
      pod.initContainers?.[0]?.volumeMounts.map(({ name, subPath }) => [name, subPath]),
      [
        ['resolver', undefined],
        ['spool', 'resolver'],
      ],
    );
    assert.equal(
      pod.volumes.find(({ name }) => name === 'spool')?.emptyDir !== undefined,
      mode === 'CutThrough',
    );
  }
});

test('without it the pods and the ConfigMap are as they were', () => {
  const { pod, conf } = rendered(undefined);
  assert.deepEqual([pod.initContainers, conf], [undefined, undefined]);
  assert.ok(pod.volumes.every(({ name }) => name !== 'resolver'));
});

test('image and resources are the only changes that replace pods for it, and a change is seen', () => {
  const base = rendered({ image: IMAGE }).set;
  const live = JSON.parse(JSON.stringify(stamped(base)));
  assert.ok(isUpToDate(live, base));
  for (const sidecar of [
    { image: 'other' },
    { image: IMAGE, resources: { requests: { cpu: '200m' } } },
    { image: IMAGE, resources: { limits: { memory: '1Gi' } } },
  ])
    assert.ok(!isUpToDate(live, rendered(sidecar).set), JSON.stringify(sidecar));
  // A webhook may add a sidecar of its own before or after it.
  const { initContainers } = live.spec.template.spec;
  live.spec.template.spec.initContainers = [{ name: 'mesh' }, ...initContainers];
  assert.ok(isUpToDate(live, base));
});

test('its caches leave room below its limit of memory', () => {
  const MIB = 2 ** 20;
  const cachesAt = (memory?: string) => {
    const resources = memory === undefined ? {} : { resources: { limits: { memory } } };
    const { conf = '' } = rendered({ image: IMAGE, ...resources });
    return [...conf.matchAll(/^ {2}\w+-cache-size: (\d+)$/gm)].reduce(
      (sum, [, size]) => sum + Number(size),
      0,
    );
  };
  assert.deepEqual(
    ['64Mi', '128Mi', '1Gi'].map((memory) => cachesAt(memory) / MIB),
    [12, 38, 396],
  );
  assert.equal(cachesAt(), cachesAt('128Mi'));
  // Where the limit leaves nothing it still starts, and Kubernetes tells of what it lacks.
  assert.equal(cachesAt('1'), cachesAt('33Mi'));
  for (const bytes of [cachesAt('1'), cachesAt('0.1G')]) assert.ok(Number.isInteger(bytes) && bytes > 0);
});

const dir = mkdtempSync(join(tmpdir(), 'mailrelay-resolver-'));
after(() => rmSync(dir, { recursive: true }));

/** Its command, with the folders of the pod and of the image below `dir`, and without Unbound. */
function begin() {
  const [program = '', flags = '', script = ''] =
    rendered({ image: IMAGE }).pod.initContainers?.[0]?.command ?? [];
  const moved = script
    .replaceAll('/var/lib/mailrelay-resolver', join(dir, 'volume'))
    .replace(/(?<=for key in ).*(?=;)/, `${join(dir, 'first.key')} ${join(dir, 'second.key')}`)
    .replace(/^exec unbound .*$/m, 'exit 7');
  const { status, stderr } = spawnSync(program, [flags, moved], { encoding: 'utf8' });
  return { status, stderr };
}

test('the anchor of the image is the first one, and a newer one of the image replaces that of the volume', () => {
  const [volume, kept] = [join(dir, 'volume'), join(dir, 'volume', 'root.key')];
  mkdirSync(volume);
  assert.equal(begin().status, 1);
  assert.match(
    begin().stderr,
    /^the image has no trust anchor of the root: put it at \/usr\/share\/dns\/root\.key\n$/,
  );
  const write = (path: string, text: string, ageS: number) => {
    writeFileSync(path, text);
    utimesSync(path, Date.now() / 1_000 - ageS, Date.now() / 1_000 - ageS);
  };
  const image = join(dir, 'second.key');
  write(image, 'of the image', 1_000);
  // What a crash or a full disk leaves is no anchor.
  for (const left of [undefined, '']) {
    if (left !== undefined) writeFileSync(kept, left);
    assert.deepEqual(begin(), { status: 7, stderr: '' });
    assert.equal(readFileSync(kept, 'utf8'), 'of the image');
  }
  write(kept, 'kept up to date', 500);
  assert.equal(begin().status, 7);
  assert.equal(readFileSync(kept, 'utf8'), 'kept up to date');
  write(image, 'of a newer image', 100);
  assert.equal(begin().status, 7);
  assert.equal(readFileSync(kept, 'utf8'), 'of a newer image');
  assert.deepEqual(readdirSync(volume), ['root.key']);
});

test('it listens where the relay asks, and nowhere else', () => {
  const { conf = '' } = rendered({ image: IMAGE });
  assert.deepEqual(conf.match(/^ {2}interface: .*$/gm), ['  interface: 127.0.0.1@10053']);
  assert.match(conf, /^ {2}control-interface: "\/var\/lib\/mailrelay-resolver\/control\.sock"$/m);
});
