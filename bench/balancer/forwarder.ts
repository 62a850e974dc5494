// forwarder.ts BACKEND: the daemon's own forwarding, in the namespace it is started in, told what to do by lines of JSON.
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { ip } from '../../src/lib/ip.ts';
import { silentLogger, type Logger } from '../../src/lib/log.ts';
import { openForwardingPorts, openKernel, systemClock, type Nftables } from '../../src/linux/index.ts';
import { createForwarding, type Forwarding, type ForwardingSpec } from '../../src/node/index.ts';
import { summarise } from './figures.ts';
import type { ChangeTimes, ForwarderReply, ForwarderRequest, VirtualServer } from './protocol.ts';

/** Milliseconds of each batch since it was last emptied. */
const commits: number[] = [];

/** What went wrong, for the log file of this process. */
const logger: Logger = {
  ...silentLogger,
  warn: (message, fields) => console.error(message, fields),
  error: (message, fields) => console.error(message, fields),
  child: () => logger,
};

/** The same port, with a clock around what goes to the kernel. */
function timed(inner: Nftables): Nftables {
  return {
    commit: (steps) => {
      const before = performance.now();
      inner.commit(steps);
      commits.push(performance.now() - before);
    },
    read: (name, chains) => inner.read(name, chains),
    elements: (family, table, set) => inner.elements(family, table, set),
    watch: (name, onChange) => inner.watch(name, onChange),
    close: () => inner.close(),
  };
}

/** Throws KernelError `unsupported` when this kernel lacks the back-end. */
async function open(backend: string): Promise<Forwarding> {
  const clock = systemClock();
  const kernel = openKernel({ clock });
  const ports = await openForwardingPorts(kernel);
  const forwarding = createForwarding(
    {
      ...ports,
      nftables: ports.nftables === undefined ? undefined : timed(ports.nftables),
      clock,
      log: logger,
    },
    {
      choice: { backend: backend === 'ipvs' ? 'ipvs' : 'nftables', reason: 'the benchmark says so' },
    },
  );
  await forwarding.start();
  return forwarding;
}

async function publish(forwarding: Forwarding, specs: readonly ForwardingSpec[]): Promise<void> {
  forwarding.set(specs);
  const deadline = performance.now() + 10_000;
  for (;;) {
    const others = forwarding.status().specs.flatMap(({ state }) => (state.state === 'ready' ? [] : [state]));
    const [first] = others;
    if (first === undefined) return;
    if (performance.now() > deadline) throw new Error(`not ready: ${first.reason}`);
    await sleep(5);
  }
}

/** One server leaves all of them, and comes back, over and over. */
async function change(
  forwarding: Forwarding,
  servers: readonly VirtualServer[],
  times: number,
): Promise<ChangeTimes> {
  const without = servers.map((each) => ({ ...each, realServers: each.realServers.slice(1) }));
  await publish(forwarding, servers);
  const batch: number[] = [];
  const reconcile: number[] = [];
  let batches = 0;
  for (let n = 0; n < times; n++) {
    commits.length = 0;
    const before = performance.now();
    forwarding.set(n % 2 === 0 ? without : servers);
    reconcile.push(performance.now() - before);
    batches = Math.max(batches, commits.length);
    batch.push(...commits);
    // The answers to our own events, which are no part of the change.
    await sleep(10);
  }
  await publish(forwarding, []);
  return { batches, batchMs: summarise(batch), reconcileMs: summarise(reconcile) };
}

async function answer(forwarding: Forwarding, request: ForwarderRequest): Promise<ForwarderReply> {
  switch (request.do) {
    case 'set':
      await publish(forwarding, request.specs);
      return { done: true };
    case 'change':
      return { done: true, times: await change(forwarding, request.servers, request.times) };
  }
}

const say = (reply: ForwarderReply): void => {
  process.stdout.write(`${JSON.stringify(reply)}\n`);
};
const problemOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Addresses came as text: anything that is none is refused here. */
function check(request: ForwarderRequest): void {
  for (const spec of request.do === 'set' ? request.specs : request.servers) ip(spec.vip);
}

try {
  const forwarding = await open(process.argv[2] ?? 'nftables');
  say({ done: true });
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line) as ForwarderRequest;
    try {
      check(request);
      say(await answer(forwarding, request));
    } catch (error) {
      say({ done: false, because: problemOf(error) });
    }
  }
  await forwarding.close();
  process.exit(0);
} catch (error) {
  say({ done: false, because: problemOf(error) });
  process.exit(1);
}
