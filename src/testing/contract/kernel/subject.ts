import assert from 'node:assert/strict';
import { ip } from '../../../lib/ip.ts';
import { KernelError } from '../../../linux/errors.ts';
import type { AddressRequest, Kernel, KernelErrorKind, Link } from '../../../linux/types.ts';
import { closing } from '../closing.ts';

/**
 * A kernel under test with two connected links, `near` and `far`, both up, both Ethernet; what is
 * sent on one arrives on the other. A fresh one is made for every test.
 */
export interface KernelSubject {
  readonly kernel: Kernel;
  /** Somebody else runs `ip link set NAME up` or `down`. */
  setLink(name: string, state: 'up' | 'down'): void;
  /** Somebody else removes `near` (and with it `far`) and makes both again. */
  recreateLinks(): void;
  /** Somebody else runs `ip addr add` or `ip addr del` with this prefix on the link. */
  addAddress(link: string, prefix: string): void;
  takeAddress(link: string, prefix: string): void;
  /** Makes the next detection of this address on `near` fail. */
  failDad(address: string): void;
  /** A frame leaves `far`, so that it arrives at `near`. */
  arrive(frame: Uint8Array): void;
  /** Frames of this EtherType that `near` sent so far. */
  sent(etherType: number): Promise<readonly Uint8Array[]>;
  /**
   * What an independent judge sees on a link, without kernel-made link-local addresses:
   * `10.0.0.1/24 brd 10.0.0.255 scope global deprecated`, in the judge's order.
   */
  judgeAddresses(link: string): Promise<readonly string[]>;
  /** Routes of a table the judge sees, `10.1.0.0/16 via 10.0.0.2 dev near metric 7`. */
  judgeRoutes(table: number): Promise<readonly string[]>;
  /** Waits, or moves time, until the condition holds; fails after a few seconds. */
  until(what: string, condition: () => boolean | Promise<boolean>): Promise<void>;
  close(): Promise<void>;
}

export type OpenSubject = () => Promise<KernelSubject>;

/** The link of this name, which the test relies on. */
export function linkOf(subject: Pick<KernelSubject, 'kernel'>, name = 'near'): Link {
  const link = subject.kernel.linkByName(name);
  assert.ok(link, `link ${name} exists`);
  return link;
}

/** A request with everything at its plain value. */
export function request(
  ifindex: number,
  prefix: string,
  change: Partial<AddressRequest> = {},
): AddressRequest {
  const [address = '', length = ''] = prefix.split('/');
  return {
    ifindex,
    address: ip(address),
    prefixLength: Number(length),
    scope: 'global',
    validLifetime: undefined,
    preferredLifetime: undefined,
    noDad: false,
    broadcast: undefined,
    protocol: 11,
    ...change,
  };
}

/** Asserts that `action` throws a KernelError of this kind, and returns it. */
export function refused(kind: KernelErrorKind, action: () => unknown): KernelError {
  let error: unknown;
  try {
    action();
  } catch (thrown) {
    error = thrown;
  }
  assert.ok(error instanceof KernelError, `expected a KernelError, got ${String(error)}`);
  assert.equal(error.kind, kind, error.message);
  return error;
}

/** Runs a test with a fresh subject. */
export const withSubject = closing<KernelSubject>;
