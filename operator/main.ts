/**
 * The operator process: settings, caches, leader election, controller. Several replicas may run; only the leader
 * writes. The process ends if it loses the Lease. At SIGTERM it releases the Lease and exits with 0.
 */
import { hostname } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { Controller } from './controller.ts';
import { startHealth } from './health.ts';
import { Client } from './kube/client.ts';
import { loadConfig } from './kube/kubeconfig.ts';
import { Leadership } from './kube/leadership.ts';
import { logLine as log } from './log.ts';
import { OperatorMetrics } from './metrics.ts';
import { type OperatorOptions, readSettings, type Settings } from './settings.ts';

/** If the API server was away for longer than this, failed keys are tried again at once, before their pause ends. */
const LONG_AWAY_MS = 5_000;

/**
 * Keeps the nursery of V8 at its first size. V8 lets dead buffers pile up to a multiple of it, and each event about a
 * large object leaves some megabytes behind: with 400 objects of half a megabyte to a megabyte, read one after the other,
 * a process needed 155 MiB at most in place of 215, for a seventh more CPU.
 */
const SMALL_NURSERY = '--semi-space-growth-factor=1';

/** Resolves with the exit status. */
export function runOperator(options: OperatorOptions, untilStopSignal: () => Promise<void>): Promise<number> {
  setFlagsFromString(SMALL_NURSERY);
  const settings = readSettings(options, process.env['POD_NAME'] ?? `${hostname()}-${process.pid}`);
  return operate(settings, untilStopSignal);
}

async function operate(settings: Settings, untilStopSignal: () => Promise<void>): Promise<number> {
  const client: Client = new Client(loadConfig(settings.kubeconfig), (news) => {
    if (news.kind === 'away') {
      log('api_server_away', { message: news.message });
      return;
    }
    log('api_server_back', { afterMs: Math.round(news.afterMs) });
    if (news.unanswered || news.afterMs > LONG_AWAY_MS) controller.apiServerBack();
  });
  const namespace = settings.namespace ?? client.namespace ?? 'default';
  const installation = `${namespace}/${settings.release}`;
  const leadership = new Leadership(leaseOptions(settings, client, namespace), installation);
  const metrics = new OperatorMetrics();
  const controller = new Controller({
    client,
    namespaces: settings.namespaces,
    settings: { ...settings.render, operatorNamespace: namespace },
    installation: { name: installation, className: settings.className, isDefault: settings.defaultClass },
    workers: settings.workers,
    rollingRelays: settings.rollingRelays,
    identity: settings.identity,
    log,
    metrics,
    mayWrite: () => !settings.leaderElection || leadership.isFresh,
  });
  await startHealth(settings.healthPort, {
    trouble: () => controller.trouble ?? leadership.trouble,
    metrics: () => metrics.render(controller.figures),
  });
  controller.start();
  void follow(controller, settings.leaderElection ? leadership : undefined);
  await untilStopSignal();
  log('stopping');
  await controller.stop();
  await leadership.release();
  log('stopped');
  // A request that is never answered must not keep the process alive.
  process.exit(0);
}

function leaseOptions({ leaseName, identity }: Settings, client: Client, namespace: string) {
  const onLost = () => {
    log('lease_lost');
    process.exit(1);
  };
  const onRefused = (message: string) => log('cannot_lead', { message });
  const monotonic = () => performance.now();
  return { client, namespace, name: leaseName, identity, monotonic, onLost, onRefused };
}

async function follow(controller: Controller, leadership: Leadership | undefined): Promise<void> {
  await leadership?.acquire();
  if (leadership && !leadership.held) return;
  log('leading');
  await controller.lead();
  log('caches_complete');
}
