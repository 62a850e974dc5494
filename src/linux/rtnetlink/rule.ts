import { familyOf, type Family, type Ip } from '../../lib/ip.ts';
import { address, AttributeTable, u32, u8 } from '../netlink/attributes.ts';
import { hostIsLittleEndian, NlReader, NlWriter } from '../netlink/wire.ts';
import type { Rule } from '../types.ts';
import { familyFromNumber, familyNumber } from './header.ts';

/** FRA_*, linux/fib_rules.h. */
export const ruleAttributes = new AttributeTable('rtnetlink rule', {
  to: [1, address],
  from: [2, address],
  priority: [6, u32],
  mark: [10, u32],
  table: [15, u32],
  markMask: [16, u32],
  protocol: [21, u8],
});

/** FR_ACT_TO_TBL: look up in a table; rules with other actions are not ours. */
const actionTable = 1;

type RulePrefix = { readonly address: Ip; readonly length: number } | undefined;

/** Decodes RTM_NEWRULE; undefined for other families and for rules that do not look up a table. */
export function decodeRule(payload: Uint8Array, littleEndian = hostIsLittleEndian): Rule | undefined {
  const reader = new NlReader('rtnetlink rule', payload, littleEndian);
  const family = familyFromNumber(reader.u8('family'));
  const toLength = reader.u8('destination length');
  const fromLength = reader.u8('source length');
  reader.u8('tos');
  const shortTable = reader.u8('table');
  reader.u16('reserved');
  const action = reader.u8('action');
  reader.u32('flags');
  if (family === undefined || action !== actionTable) return undefined;
  const attributes = ruleAttributes.decode(reader);
  const prefix = (field: string, of: Ip | undefined, length: number): RulePrefix => {
    if (of === undefined) return undefined;
    if (familyOf(of) !== family) reader.fail(field, 'is of another family');
    if (length > (family === 4 ? 32 : 128)) reader.fail(`${field} length`, `${length} is too long`);
    return { address: of, length };
  };
  return {
    family,
    priority: attributes.priority ?? 0,
    table: attributes.table ?? shortTable,
    from: prefix('from', attributes.from, fromLength),
    to: prefix('to', attributes.to, toLength),
    mark: attributes.mark,
    markMask: attributes.markMask,
    protocol: attributes.protocol ?? 0,
  };
}

/** The body of RTM_NEWRULE and of RTM_DELRULE. */
export function encodeRule(rule: Rule, littleEndian = hostIsLittleEndian): Uint8Array {
  const writer = new NlWriter(littleEndian)
    .u8(familyNumber(rule.family))
    .u8(rule.to?.length ?? 0)
    .u8(rule.from?.length ?? 0)
    .u8(0)
    .u8(rule.table < 256 ? rule.table : 0)
    .u16(0)
    .u8(actionTable)
    .u32(0);
  ruleAttributes.encode(writer, {
    to: rule.to?.address,
    from: rule.from?.address,
    priority: rule.priority,
    mark: rule.mark,
    table: rule.table,
    markMask: rule.markMask,
    protocol: rule.protocol === 0 ? undefined : rule.protocol,
  });
  return writer.done();
}

/** The body of RTM_GETRULE for a dump. */
export function encodeRuleQuery(family: Family): Uint8Array {
  return Uint8Array.of(familyNumber(family), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}
