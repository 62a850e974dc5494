import { setTimeout as sleep } from 'node:timers/promises';
import { waitFor } from '../../lab/index.ts';
import type { Cluster, HolderWatch, Machine, Prober } from '../../lab/index.ts';
import type { Subject } from './subject.ts';

/** What one scenario has in hand. */
export interface Stage {
  readonly cluster: Cluster;
  readonly subject: Subject;
  readonly prober: Prober;
  readonly watch: HolderWatch;
  readonly holder: Machine;
}

/** Further figures of one repetition, milliseconds. */
export type Extras = Readonly<Record<string, number>>;

export interface Scenario {
  readonly name: string;
  readonly title: string;
  /** Only where it means something: keepalived has no lease and no API server. */
  readonly kubeVipOnly: boolean;
  /** Does it and waits until it is over; the VIP must be answered again when this resolves. */
  act(stage: Stage): Promise<Extras>;
  /** Puts things back, after the measurement. */
  repair?(stage: Stage): Promise<void>;
}

/** Until a node answers probes that were sent after this call; `other`: one that did not hold it before. */
async function answered({ prober, holder, subject }: Stage, other = false): Promise<void> {
  const since = Date.now();
  await waitFor(() => (prober.live.at ?? 0) > since && (!other || prober.live.by !== holder.name), {
    what: `an answer through ${subject.vip}`,
    timeoutMs: subject.patienceMs,
  });
}

/** A lease's length and some retries: by then whatever had to happen has happened. */
function oneLease({ subject }: Stage, retries = 2): number {
  const { duration, retryPeriod } = subject.lease ?? { duration: 3, retryPeriod: 1 };
  return (duration + retries * retryPeriod) * 1000;
}

export const scenarios: readonly Scenario[] = [
  {
    name: 'crash',
    title: 'SIGKILL of the process, restarted after 1 s',
    kubeVipOnly: false,
    async act(stage) {
      await stage.subject.process(stage.holder).kill();
      await sleep(4_000);
      await answered(stage);
      return {};
    },
  },
  {
    name: 'power',
    title: 'power cut: link down and SIGKILL of everything',
    kubeVipOnly: false,
    async act(stage) {
      await stage.subject.powerOff(stage.holder);
      await answered(stage, true);
      await sleep(1_000);
      return {};
    },
    async repair({ subject, holder }) {
      await subject.powerOn(holder);
    },
  },
  {
    name: 'term',
    title: 'SIGTERM, restarted after 1 s',
    kubeVipOnly: false,
    async act(stage) {
      stage.subject.process(stage.holder).signal('SIGTERM');
      await sleep(4_000);
      await answered(stage);
      return {};
    },
  },
  {
    name: 'delete-lease',
    title: 'kubectl delete lease',
    kubeVipOnly: true,
    async act(stage) {
      await stage.cluster.deleteLease();
      await sleep(oneLease(stage, 1));
      await answered(stage);
      return {};
    },
  },
  {
    name: 'take-lease',
    title: 'lease taken by somebody else, who then dies',
    kubeVipOnly: true,
    async act(stage) {
      const takenAt = Date.now();
      await stage.cluster.takeLease('somebody-else');
      await sleep(oneLease(stage, 1));
      await answered(stage);
      await stage.watch.flush();
      // Somebody else could have the VIP from the moment of the take: until it is dropped, there are two holders.
      const dropped = stage.watch.report().events.find((event) => event.at > takenAt && !event.present);
      return { droppedAfterMs: (dropped?.at ?? Number.POSITIVE_INFINITY) - takenAt };
    },
  },
  {
    name: 'delete-vip',
    title: 'ip addr del VIP on the holder',
    kubeVipOnly: false,
    async act(stage) {
      await stage.holder.deleteAddress(stage.subject.vip);
      await sleep(1_000);
      await answered(stage);
      await sleep(1_000);
      return {};
    },
  },
  {
    name: 'pause',
    title: 'SIGSTOP beyond the lease, then SIGCONT',
    kubeVipOnly: false,
    async act(stage) {
      const process = stage.subject.process(stage.holder);
      process.signal('SIGSTOP', true);
      await sleep(oneLease(stage, 4));
      const continuedAt = Date.now();
      process.signal('SIGCONT', true);
      await sleep(3_000);
      await answered(stage);
      // The kernel of a paused node goes on answering; what the program can be blamed for begins here.
      await stage.watch.flush();
      const { twoHoldersMs } = stage.watch.report({ from: continuedAt });
      const holders = await stage.cluster.lab.holders(stage.subject.vip);
      return { twoAfterContinueMs: twoHoldersMs, holdersAfterwards: holders.length };
    },
  },
  {
    name: 'api-holder',
    title: 'API servers unreachable for the holder only',
    kubeVipOnly: true,
    async act(stage) {
      await stage.holder.cable.blackholeApi(stage.cluster.api.port);
      await sleep(oneLease(stage));
      await answered(stage);
      return {};
    },
    async repair({ holder }) {
      await holder.cable.restoreApi();
      await sleep(1_000);
    },
  },
  {
    name: 'api-all',
    title: 'API servers away for 20 s, for everybody',
    kubeVipOnly: true,
    async act(stage) {
      await stage.cluster.api.takeAway();
      await sleep(20_000);
      const back = stage.cluster.api.bringBack();
      await waitFor(() => stage.cluster.api.client.ready(), {
        what: 'the first API server to answer',
        timeoutMs: 60_000,
      });
      const returnedAt = Date.now();
      await back;
      await answered(stage);
      const report = await stage.prober.report();
      const backAt = report.gaps.at(-1)?.to ?? returnedAt;
      return { afterReturnMs: Math.max(0, backAt - returnedAt) };
    },
  },
];
