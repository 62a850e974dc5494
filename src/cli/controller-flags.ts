import { bool, duration, flagValue, text, type FlagScan } from '../config/index.ts';
import type { CloudControllerOptions } from '../manager/index.ts';

const feature = 'ipam';

/** The cloud controller's own flags, with the names that Kubernetes' controllers give them. */
export const controllerSettings = {
  leaderElect: bool(true, {
    flag: 'leader-elect',
    feature,
    doc: 'Assign only while holding the lease; off for a process that is known to be alone.',
  }),
  leaseDuration: duration(15_000, {
    flag: 'leader-elect-lease-duration',
    feature,
    doc: 'After this long others may take a lease that was not renewed.',
  }),
  renewDeadline: duration(10_000, {
    flag: 'leader-elect-renew-deadline',
    feature,
    doc: 'A holder that could not renew for this long stops.',
  }),
  retryPeriod: duration(2000, {
    flag: 'leader-elect-retry-period',
    feature,
    doc: 'Between tries to acquire or renew.',
  }),
  outsideCluster: bool(false, {
    flag: 'OutSideCluster',
    feature,
    doc: 'Use ~/.kube/config instead of the service account.',
  }),
  kubeconfig: text('', { flag: 'kubeconfig', feature, doc: 'Use this kubeconfig instead.' }),
} as const;

export function controllerOptions(
  flags: FlagScan,
  { env }: { readonly env: Readonly<Record<string, string | undefined>> },
): CloudControllerOptions {
  const own = controllerSettings;
  const kubeconfig = flagValue(flags, 'kubeconfig', own.kubeconfig);
  const home = `${env['HOME'] ?? ''}/.kube/config`;
  const isOutside = flagValue(flags, 'outsideCluster', own.outsideCluster);
  return {
    isElected: flagValue(flags, 'leaderElect', own.leaderElect),
    leaseDurationMs: flagValue(flags, 'leaseDuration', own.leaseDuration),
    renewDeadlineMs: flagValue(flags, 'renewDeadline', own.renewDeadline),
    retryPeriodMs: flagValue(flags, 'retryPeriod', own.retryPeriod),
    kubeconfig: kubeconfig === '' ? (isOutside ? home : undefined) : kubeconfig,
  };
}
