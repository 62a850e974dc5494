import * as dns from 'node:dns';
import type { LookupFunction } from 'node:net';
import type { Clock } from '../lib/clock.ts';

export type SystemLookup = (
  host: string,
  done: (error: Error | null, addresses: readonly dns.LookupAddress[]) => void,
) => void;

const systemLookup: SystemLookup = (host, done) => {
  dns.lookup(host, { all: true, order: 'verbatim' }, done);
};

const loopback: readonly dns.LookupAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

/** A resolver with a dead upstream takes half a minute to say no; a local API server must not wait for it. */
const PATIENCE_MS = 1000;
/** How long a failed look-up is remembered, so that stuck ones do not fill the thread pool. */
const REMEMBER_MS = 5 * 60_000;

/** Resolves names for connections that may fall back to this machine; remembers that it had to. */
export class LoopbackFallback {
  private readonly clock: Clock;
  private readonly system: SystemLookup;
  private readonly fellBack: (host: string) => void;
  private until = -Infinity;
  private reported = false;

  /** @param fellBack called once, with the name that did not resolve. */
  constructor(clock: Clock, fellBack: (host: string) => void, system: SystemLookup = systemLookup) {
    this.clock = clock;
    this.system = system;
    this.fellBack = fellBack;
  }

  /** For `net.connect` and `tls.connect`. */
  readonly lookup: LookupFunction = (host, options, callback) => {
    this.resolve(host, (addresses) => {
      if (options.all === true) callback(null, [...addresses]);
      else callback(null, addresses[0]?.address ?? '127.0.0.1', addresses[0]?.family ?? 4);
    });
  };

  private resolve(host: string, done: (addresses: readonly dns.LookupAddress[]) => void): void {
    if (this.clock.now() < this.until) {
      done(loopback);
      return;
    }
    let open = true;
    const finish = (addresses: readonly dns.LookupAddress[]): void => {
      if (!open) return;
      open = false;
      timer.cancel();
      done(addresses.length > 0 ? addresses : this.fallBack(host));
    };
    const timer = this.clock.after('kube-lookup', PATIENCE_MS, () => {
      finish([]);
    });
    this.system(host, (error, addresses) => {
      finish(error === null ? addresses : []);
    });
  }

  private fallBack(host: string): readonly dns.LookupAddress[] {
    this.until = this.clock.now() + REMEMBER_MS;
    if (!this.reported) {
      this.reported = true;
      this.fellBack(host);
    }
    return loopback;
  }
}
