import type { Subscription } from '../types.ts';

/**
 * nf_tables as values: what a table should hold, the steps that get it there in one atomic batch, and
 * what the kernel says it holds. Names of expressions and fields follow linux/netfilter/nf_tables.h.
 */

export type NftFamily = 'ip' | 'ip6' | 'netdev';

/** Bytes as they stand in a register, in lower-case hex: comparable, printable, usable as a key. */
export type Hex = string;

/** A 32-bit register by number, 0 to 15; wider values take the ones that follow. */
export type Register = number;

export type NftVerdict = 'accept' | 'drop' | 'return' | { readonly goto: string } | { readonly jump: string };

export type MetaKey = 'protocol' | 'priority' | 'mark' | 'iifname' | 'oifname' | 'l4proto' | 'pkttype';

/** `original ...` is of the first packet of the connection, before any translation. */
export type ConntrackKey =
  'state' | 'direction' | 'status' | 'original ip daddr' | 'original ip6 daddr' | 'original proto-dst';

export type PayloadBase = 'link' | 'network' | 'transport';

/** A constant map that lives and dies with its rule. */
export interface InlineMap {
  readonly keyType: NftType;
  readonly dataType: NftType;
  readonly elements: readonly NftElement[];
}

export type NftExpression =
  | {
      readonly op: 'payload';
      readonly base: PayloadBase;
      readonly offset: number;
      readonly length: number;
      readonly to: Register;
    }
  | {
      readonly op: 'payload write';
      readonly base: PayloadBase;
      readonly offset: number;
      readonly length: number;
      readonly from: Register;
      /** Where in the same header the Internet checksum (RFC 1071) over these bytes stands; absent: there is none. */
      readonly checksumAt?: number;
    }
  | { readonly op: 'meta'; readonly key: MetaKey; readonly to: Register }
  | { readonly op: 'meta set'; readonly key: MetaKey; readonly from: Register }
  | { readonly op: 'ct'; readonly key: ConntrackKey; readonly to: Register }
  | { readonly op: 'cmp'; readonly register: Register; readonly is: '==' | '!='; readonly value: Hex }
  /** Keeps the bits of `mask`, then turns those of `xor` around. */
  | { readonly op: 'and'; readonly register: Register; readonly mask: Hex; readonly xor?: Hex }
  /** Counts the packets that come as far as this; for whoever lists the rules. */
  | { readonly op: 'counter' }
  | { readonly op: 'immediate'; readonly to: Register; readonly value: Hex }
  | { readonly op: 'verdict'; readonly verdict: NftVerdict }
  /** Ends the rule when the key is not there. `to` absent: only whether it is. */
  | {
      readonly op: 'lookup';
      readonly set: string | InlineMap;
      readonly key: Register;
      readonly to?: Register | 'verdict';
    }
  /** Ends the rule when the key is there. */
  | { readonly op: 'no lookup'; readonly set: string; readonly key: Register }
  /** Puts the key into a dynamic set or map, or restarts the timeout of one that is there (its data stays). */
  | {
      readonly op: 'update';
      readonly set: string;
      readonly key: Register;
      /** For a map. */
      readonly data?: Register;
      readonly timeoutMs: number;
    }
  | { readonly op: 'delete'; readonly set: string; readonly key: Register; readonly data?: Register }
  /** Ends the rule for what comes by more often than so many times a second, after a second's worth at once. */
  | { readonly op: 'limit'; readonly perSecond: number }
  /** 0, 1, 2 ... `modulus` - 1, 0 ...: the next number for each packet that comes by. */
  | { readonly op: 'numgen inc'; readonly modulus: number; readonly to: Register }
  | {
      readonly op: 'jhash';
      readonly from: Register;
      readonly length: number;
      readonly modulus: number;
      readonly seed: number;
      readonly to: Register;
    }
  | {
      readonly op: 'snat' | 'dnat';
      readonly family: 'ip' | 'ip6';
      readonly address: Register;
      readonly port?: Register;
    }
  /** The source becomes the address of the link that the packet leaves by. */
  | { readonly op: 'masquerade' }
  | { readonly op: 'reject with tcp reset' }
  /** Sends the packet out of the link whose ifindex is in the register (netdev only). */
  | { readonly op: 'fwd'; readonly device: Register };

export interface NftRule {
  /** Stored with the rule and read back: how we know that it is the one we wrote. At most 120 characters. */
  readonly comment: string;
  readonly expressions: readonly NftExpression[];
}

export type NftHook = 'ingress' | 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';

export interface BaseChain {
  readonly type: 'filter' | 'nat' | 'route';
  readonly hook: NftHook;
  readonly priority: number;
  /** For `ingress`. */
  readonly device?: string;
}

export interface NftChain {
  readonly name: string;
  /** Absent: reached only by goto and jump. */
  readonly base?: BaseChain;
  readonly rules: readonly NftRule[];
}

/**
 * The types of nft(8) that this program uses; concatenations are lists. `turn` is a number that numgen made: nft(8)
 * has no name for its type, so as the key of a map it is told the expression that makes such values.
 */
export type NftAtom = 'ipv4_addr' | 'ipv6_addr' | 'inet_proto' | 'inet_service' | 'mark' | 'integer' | 'turn';
export type NftType = NftAtom | readonly NftAtom[];

export interface NftElement {
  readonly key: Hex;
  /** Absent in a set. */
  readonly data?: Hex | { readonly verdict: NftVerdict };
  /** As read from the kernel, of one that packets made; milliseconds. */
  readonly expiresInMs?: number;
}

export interface NftSet {
  readonly name: string;
  readonly keyType: NftType;
  /** Absent: a set and no map. */
  readonly dataType?: NftType | 'verdict';
  /** Upper bound of elements; absent: as many as memory holds. */
  readonly size?: number;
  /** Filled by packets, with this default timeout; its elements are not compared. */
  readonly dynamic?: { readonly timeoutMs: number };
  readonly elements: readonly NftElement[];
}

export interface NftTable {
  readonly family: NftFamily;
  readonly name: string;
  readonly chains: readonly NftChain[];
  readonly sets: readonly NftSet[];
}

/** What names an object: steps carry it. */
interface InTable {
  readonly family: NftFamily;
  readonly table: string;
}

export type NftStep =
  | ({ readonly do: 'add table' } & InTable)
  | ({ readonly do: 'delete table' } & InTable)
  | ({ readonly do: 'add chain'; readonly chain: NftChain } & InTable)
  | ({ readonly do: 'delete chain'; readonly chain: string } & InTable)
  /** Removes all rules of a chain. */
  | ({ readonly do: 'flush chain'; readonly chain: string } & InTable)
  | ({ readonly do: 'add rule'; readonly chain: string; readonly rule: NftRule } & InTable)
  | ({ readonly do: 'add set'; readonly set: NftSet } & InTable)
  | ({ readonly do: 'delete set'; readonly set: string } & InTable)
  | ({
      readonly do: 'add elements' | 'delete elements';
      readonly set: string;
      readonly elements: readonly NftElement[];
    } & InTable);

/** A table as the kernel has it: rules by their comments, static sets with their elements. */
export interface ObservedTable {
  readonly family: NftFamily;
  readonly name: string;
  /** Switched off as a whole (`dormant`). */
  readonly dormant: boolean;
  readonly chains: readonly ObservedChain[];
  readonly sets: readonly ObservedSet[];
}

export interface ObservedChain {
  readonly name: string;
  readonly base?: BaseChain;
  /** In order; '' for a rule that is not ours. */
  readonly rules: readonly string[];
}

export interface ObservedSet {
  readonly name: string;
  readonly keyLength: number;
  /** Undefined for a set without data. */
  readonly dataLength: number | 'verdict' | undefined;
  readonly dynamic: boolean;
  /** Elements that have no timeout. */
  readonly elements: readonly NftElement[];
}

export interface NftWatch extends Subscription {
  /**
   * Has the watch heard of every batch up to now? Costs one question, however large the tables are. Whoever is told
   * that it has not reads everything: what was missed is not asked about again.
   */
  hasHeardAll(): boolean;
}

export interface Nftables {
  /** Makes all steps true at once, or none and throws KernelError. */
  commit(steps: readonly NftStep[]): void;
  /**
   * The tables of this name, in all families. `chains` are names to look for besides those that have
   * rules. Throws KernelError `unsupported` when this kernel has no nf_tables.
   */
  read(
    name: string,
    chains: readonly { family: NftFamily; chain: string }[],
  ): Promise<readonly ObservedTable[]>;
  /** The elements of one set, those with a timeout included; empty when there is no such set. */
  elements(family: NftFamily, table: string, set: string): Promise<readonly NftElement[]>;
  /** Tells that others changed something in a table of this name, or that events were lost. */
  watch(name: string, onChange: () => void): NftWatch;
  close(): void;
}
