import { AttributeTable, nestedList, raw, text, u64be } from '../netlink/attributes.ts';
import { NETLINK_NETFILTER, NetlinkSocket } from '../netlink/socket.ts';
import { hostIsLittleEndian, NlReader, NlWriter } from '../netlink/wire.ts';
import { putText } from '../nfnetlink/attributes.ts';
import * as nf from '../nfnetlink/header.ts';
import type { Poller } from '../poll.ts';
import { decodeRule } from './decode.ts';
import type { NftFamily } from './types.ts';
import { familyNumber, message } from './values.ts';

/** A rule that counts: how many packets came as far as its counter. */
export interface RuleCounter {
  readonly family: NftFamily;
  readonly table: string;
  readonly chain: string;
  /** '' for a rule that is not ours. */
  readonly comment: string;
  readonly packets: number;
}

/** Begins at 0 again whenever the rule is written anew. */
export interface RuleCounters {
  /** Of all rules of a table; none when there is no such table. Costs a dump of its rules, not of its sets. */
  read(family: NftFamily, table: string): Promise<readonly RuleCounter[]>;
  close(): void;
}

/** Throws KernelError when netlink is not available. */
export function openRuleCounters(poller: Poller): RuleCounters {
  const netlink = new NetlinkSocket(NETLINK_NETFILTER, poller);
  return {
    read: async (family, table) => {
      const writer = nf.writeHeader(new NlWriter(), familyNumber(family));
      putText(writer, 1, table);
      const request = {
        doing: { op: 'read nf_tables', object: `counters of ${table}` },
        type: nf.messageType(nf.NFNL_SUBSYS_NFTABLES, message.getRule),
        payload: writer.done(),
      };
      const found = await netlink.dump(request, ({ payload }) => decodeRuleCounter(payload));
      return found.filter((each) => each.table === table && each.family === family);
    },
    close: () => {
      netlink.close();
    },
  };
}

/** NFTA_EXPR_*. */
const expressionAttributes = new AttributeTable('nf_tables expression', { name: [1, text], data: [2, raw] });

/** NFTA_COUNTER_BYTES comes first. */
const counterAttributes = new AttributeTable('nf_tables counter', { packets: [2, u64be] });

/** NFTA_RULE_EXPRESSIONS, a list of NFTA_LIST_ELEM. */
const ruleAttributes = new AttributeTable('nf_tables rule', {
  expressions: [4, nestedList(expressionAttributes)],
});

/** Undefined for a rule that does not count. Of several counters the first is meant. */
export function decodeRuleCounter(
  payload: Uint8Array,
  littleEndian = hostIsLittleEndian,
): RuleCounter | undefined {
  const rule = decodeRule(payload, littleEndian);
  if (rule === undefined) return undefined;
  const reader = new NlReader('nf_tables rule', payload, littleEndian);
  nf.readHeader(reader);
  const { expressions = [] } = ruleAttributes.decode(reader);
  const data = expressions.find(({ name }) => name === 'counter')?.data;
  if (data === undefined) return undefined;
  const { packets = 0n } = counterAttributes.decode(new NlReader('nf_tables counter', data, littleEndian));
  return { ...rule, packets: Number(packets) };
}
