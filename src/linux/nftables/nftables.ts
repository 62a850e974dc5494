import { DecodeError } from '../../lib/errors.ts';
import { errnoOf, KernelError } from '../errors.ts';
import type { NetlinkMessage } from '../netlink/message.ts';
import { NETLINK_NETFILTER, NetlinkSocket, type NetlinkRequest } from '../netlink/socket.ts';
import { NlWriter } from '../netlink/wire.ts';
import { putText } from '../nfnetlink/attributes.ts';
import * as nf from '../nfnetlink/header.ts';
import type { Poller } from '../poll.ts';
import * as decode from './decode.ts';
import { encodeSteps } from './encode.ts';
import type * as t from './types.ts';
import { familyNumber, message } from './values.ts';

export interface NftablesOptions {
  /** The kernel sent something that does not parse; it was dropped. */
  readonly onDecodeError?: (error: DecodeError) => void;
}

/** nf_tables of the network namespace this thread is in. Throws KernelError when netlink is not available. */
export function openNftables(poller: Poller, options: NftablesOptions = {}): t.Nftables {
  return new LinuxNftables(new NetlinkSocket(NETLINK_NETFILTER, poller), options);
}

/** Whoever changes other tables all the time must not keep a read from ending. */
const readAttempts = 3;

class LinuxNftables implements t.Nftables {
  private readonly netlink: NetlinkSocket;
  private readonly onDecodeError: (error: DecodeError) => void;

  constructor(netlink: NetlinkSocket, options: NftablesOptions) {
    this.netlink = netlink;
    this.onDecodeError = options.onDecodeError ?? (() => undefined);
  }

  close(): void {
    this.netlink.close();
  }

  commit(steps: readonly t.NftStep[]): void {
    if (steps.length === 0) return;
    const edge = (type: number): NetlinkRequest => ({
      doing: { op: 'change nf_tables' },
      type,
      payload: nf.writeHeader(new NlWriter(), nf.NFPROTO_UNSPEC, nf.NFNL_SUBSYS_NFTABLES).done(),
      ack: false,
    });
    const requests = [edge(nf.NFNL_MSG_BATCH_BEGIN), ...encodeSteps(steps), edge(nf.NFNL_MSG_BATCH_END)];
    const errors = this.netlink.transact(requests, 'last').flatMap(({ error }) => error ?? []);
    const [error] = errors;
    if (error !== undefined) throw error;
  }

  async read(
    name: string,
    chains: readonly { family: t.NftFamily; chain: string }[],
  ): Promise<readonly t.ObservedTable[]> {
    for (let attempt = 1; ; attempt++) {
      const isLast = attempt === readAttempts;
      const before = this.generation();
      try {
        const tables = await this.readOnce(name, chains);
        if (isLast || before === this.generation()) return tables;
      } catch (error) {
        // A table went away while it was being read.
        if (isLast || !(error instanceof KernelError) || error.errno !== errnoOf.ENOENT) throw error;
      }
    }
  }

  async elements(family: t.NftFamily, table: string, set: string): Promise<readonly t.NftElement[]> {
    return this.elementsOf(family, table, set);
  }

  watch(name: string, onChange: () => void): t.NftWatch {
    const newGeneration = nf.messageType(nf.NFNL_SUBSYS_NFTABLES, message.newGeneration);
    let heard: number | undefined;
    const subscription = this.netlink.subscribe({ op: 'watch nf_tables' }, [nf.NFNLGRP_NFTABLES], {
      onMessage: ({ type, payload, portId }) => {
        if (type === newGeneration) {
          const generation = this.decoded(() => decode.decodeGeneration(payload));
          // One that was asked for meanwhile may be ahead of the events.
          if (generation !== undefined && isNext(generation, heard)) heard = generation;
          return;
        }
        // The kernel names who asked for the change. What we did ourselves is no news, and a look costs as much as
        // there is in the tables.
        if (portId === this.netlink.portId) return;
        if (this.decoded(() => decode.decodeTableName(payload)) === name) onChange();
      },
      onLost: () => {
        heard = undefined;
        onChange();
      },
      onDecodeError: this.onDecodeError,
    });
    heard = this.generation();
    return {
      close: () => {
        subscription.close();
      },
      hasHeardAll: () => {
        const before = heard;
        heard = this.generation();
        return before !== undefined && before === heard;
      },
    };
  }

  /** A number that is another one after each batch, whoever sent it. */
  private generation(): number | undefined {
    const type = nf.messageType(nf.NFNL_SUBSYS_NFTABLES, message.getGeneration);
    const payload = nf.writeHeader(new NlWriter(), nf.NFPROTO_UNSPEC).done();
    const [reply] = this.netlink.request({ doing: { op: 'read nf_tables' }, type, payload });
    return reply && this.decoded(() => decode.decodeGeneration(reply.payload));
  }

  private async readOnce(
    name: string,
    wanted: readonly { family: t.NftFamily; chain: string }[],
  ): Promise<readonly t.ObservedTable[]> {
    const all = await this.dump(message.getTable, nf.NFPROTO_UNSPEC, () => undefined, decode.decodeTable);
    const tables: t.ObservedTable[] = [];
    for (const { family, dormant } of all.filter((table) => table.name === name)) {
      const names = wanted.flatMap((each) => (each.family === family ? [each.chain] : []));
      tables.push({
        family,
        name,
        dormant,
        chains: await this.chainsOf(family, name, names),
        sets: await this.setsOf(family, name),
      });
    }
    return tables;
  }

  private async chainsOf(
    family: t.NftFamily,
    table: string,
    names: readonly string[],
  ): Promise<readonly t.ObservedChain[]> {
    const fill = (w: NlWriter): void => putText(w, 1, table);
    const rules = (await this.dump(message.getRule, familyNumber(family), fill, decode.decodeRule)).filter(
      (rule) => rule.table === table && rule.family === family,
    );
    const candidates = [...new Set([...names, ...rules.map(({ chain }) => chain)])];
    const outcomes = this.netlink.batch(candidates.map((chain) => getChain(family, table, chain)));
    return outcomes.flatMap(({ error, replies }): t.ObservedChain[] => {
      if (error !== undefined && error.errno !== errnoOf.ENOENT) throw error;
      const [reply] = error === undefined ? replies : [];
      const chain = reply && this.decoded(() => decode.decodeChain(reply.payload));
      if (chain === undefined) return [];
      const comments = rules.flatMap((rule) => (rule.chain === chain.name ? [rule.comment] : []));
      const base = chain.base === undefined ? {} : { base: chain.base };
      return [{ name: chain.name, ...base, rules: comments }];
    });
  }

  private async setsOf(family: t.NftFamily, table: string): Promise<readonly t.ObservedSet[]> {
    const fill = (w: NlWriter): void => putText(w, 1, table);
    const all = await this.dump(message.getSet, familyNumber(family), fill, decode.decodeSet);
    const sets: t.ObservedSet[] = [];
    for (const set of all) {
      if (set.table !== table || set.family !== family || set.anonymous) continue;
      const { name, keyLength, dataLength, dynamic } = set;
      // Thousands of elements that packets made would be read for nothing.
      const elements = dynamic ? [] : await this.elementsOf(family, table, name);
      sets.push({ name, keyLength, dataLength, dynamic, elements });
    }
    return sets;
  }

  private async elementsOf(
    family: t.NftFamily,
    table: string,
    set: string,
  ): Promise<readonly t.NftElement[]> {
    const fill = (w: NlWriter): void => {
      putText(w, 1, table);
      putText(w, 2, set);
    };
    try {
      const lists = await this.dump(message.getElements, familyNumber(family), fill, decode.decodeElements);
      return lists.flat();
    } catch (error) {
      // Gone since its name was read.
      if (error instanceof KernelError && error.errno === errnoOf.ENOENT) return [];
      throw error;
    }
  }

  private dump<T>(
    get: number,
    family: number,
    fill: (writer: NlWriter) => void,
    decodePayload: (payload: Uint8Array) => T | undefined,
  ): Promise<readonly T[]> {
    const writer = nf.writeHeader(new NlWriter(), family);
    fill(writer);
    const request = {
      doing: { op: 'read nf_tables' },
      type: nf.messageType(nf.NFNL_SUBSYS_NFTABLES, get),
      payload: writer.done(),
    };
    return this.netlink.dump(request, (reply: NetlinkMessage) =>
      this.decoded(() => decodePayload(reply.payload)),
    );
  }

  /** One object the decoder does not understand must not hide all the others. */
  private decoded<T>(action: () => T | undefined): T | undefined {
    try {
      return action();
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.onDecodeError(error);
      return undefined;
    }
  }
}

/** They are counted one by one; a number that was skipped belongs to a batch that was not heard of. */
function isNext(generation: number, heard: number | undefined): boolean {
  return heard !== undefined && generation === (heard + 1) >>> 0;
}

function getChain(family: t.NftFamily, table: string, chain: string): NetlinkRequest {
  const writer = nf.writeHeader(new NlWriter(), familyNumber(family));
  putText(writer, 1, table);
  putText(writer, 3, chain);
  return {
    doing: { op: 'read nf_tables', object: `chain ${chain}` },
    type: nf.messageType(nf.NFNL_SUBSYS_NFTABLES, message.getChain),
    payload: writer.done(),
  };
}
