import { NlWriter } from '../netlink/wire.ts';
import { NLM_F_APPEND, NLM_F_CREATE } from '../netlink/message.ts';
import type { NetlinkRequest } from '../netlink/socket.ts';
import type { Doing } from '../sys.ts';
import { messageType, NFNL_SUBSYS_NFTABLES, writeHeader } from '../nfnetlink/header.ts';
import { putBe32, putBe64, putBytes, putNested, putText } from '../nfnetlink/attributes.ts';
import { bytesOfHex, putData, putExpression, type SetReference } from './expressions.ts';
import type { BaseChain, InlineMap, NftElement, NftRule, NftSet, NftStep, NftType } from './types.ts';
import { expressionData } from './typeof.ts';
import { userData } from './user-data.ts';
import * as v from './values.ts';

const encoder = new TextEncoder();
/** NF_ACCEPT: what a base chain says when no rule did. */
const POLICY_ACCEPT = 1;
/** Elements in one message: its attribute has a 16-bit length. */
const elementsPerMessage = 500;

interface Message {
  readonly type: number;
  readonly flags: number;
  readonly fill: (writer: NlWriter) => void;
}

/** The requests of a batch, without its ends; only the last one asks for an answer (refusals come anyway). */
export function encodeSteps(steps: readonly NftStep[]): readonly NetlinkRequest[] {
  // Sets are referred to by id inside the batch that makes them; ids count from 1 in every batch.
  let lastId = 0;
  const nextId = (): number => ++lastId;
  const writer = new NlWriter();
  const requests = steps.flatMap((step) =>
    messagesOf(step, nextId).map(({ type, flags, fill }): NetlinkRequest => {
      writeHeader(writer, v.familyNumber(step.family));
      fill(writer);
      return {
        doing: doingOf(step),
        type: messageType(NFNL_SUBSYS_NFTABLES, type),
        flags,
        payload: writer.take(),
        ack: false,
      };
    }),
  );
  return requests.map((request, i) => (i === requests.length - 1 ? { ...request, ack: true } : request));
}

function doingOf(step: NftStep): Doing {
  const { family, table } = step;
  const name =
    'rule' in step
      ? `${step.chain} "${step.rule.comment}"`
      : 'chain' in step
        ? typeof step.chain === 'string'
          ? step.chain
          : step.chain.name
        : 'set' in step
          ? typeof step.set === 'string'
            ? step.set
            : step.set.name
          : '';
  const op = step.do.startsWith('delete') ? step.do.replace('delete', 'remove') : step.do;
  return { op, object: `${family} ${table} ${name}`.trimEnd() };
}

function messagesOf(step: NftStep, nextId: () => number): readonly Message[] {
  const { table } = step;
  switch (step.do) {
    case 'add table':
      return [
        add(v.message.newTable, (w) => {
          putText(w, 1, table);
          putBe32(w, 2, 0);
        }),
      ];
    case 'delete table':
      return [remove(v.message.deleteTable, (w) => putText(w, 1, table))];
    case 'add chain':
      return [add(v.message.newChain, (w) => putChain(w, table, step.chain.name, step.chain.base))];
    case 'delete chain':
      return [
        remove(v.message.deleteChain, (w) => {
          putText(w, 1, table);
          putText(w, 3, step.chain);
        }),
      ];
    case 'flush chain':
      return [
        remove(v.message.deleteRule, (w) => {
          putText(w, 1, table);
          putText(w, 2, step.chain);
        }),
      ];
    case 'add rule':
      return ruleMessages(table, step.chain, step.rule, nextId);
    case 'add set': {
      const id = nextId();
      return [
        add(v.message.newSet, (w) => putSet(w, table, step.set, id)),
        ...elementMessages(true, table, { name: step.set.name, id }, step.set.elements),
      ];
    }
    case 'delete set':
      return [
        remove(v.message.deleteSet, (w) => {
          putText(w, 1, table);
          putText(w, 2, step.set);
        }),
      ];
    case 'add elements':
    case 'delete elements':
      return elementMessages(step.do === 'add elements', table, { name: step.set }, step.elements);
  }
}

function add(type: number, fill: (writer: NlWriter) => void): Message {
  return { type, flags: NLM_F_CREATE, fill };
}

function remove(type: number, fill: (writer: NlWriter) => void): Message {
  return { type, flags: 0, fill };
}

function putChain(w: NlWriter, table: string, name: string, base: BaseChain | undefined): void {
  putText(w, 1, table);
  putText(w, 3, name);
  if (base === undefined) return;
  putNested(w, 4, (hook) => {
    putBe32(hook, 1, v.hookNumber(base.hook));
    putBe32(hook, 2, base.priority);
    if (base.device !== undefined) putText(hook, 3, base.device);
  });
  putBe32(w, 5, POLICY_ACCEPT);
  putText(w, 7, base.type);
}

function ruleMessages(table: string, chain: string, rule: NftRule, nextId: () => number): readonly Message[] {
  const before: Message[] = [];
  const references = rule.expressions.map((expression): SetReference | undefined => {
    if (expression.op !== 'lookup') return undefined;
    if (typeof expression.set === 'string') return { name: expression.set };
    // The kernel puts a free number in the place of %d.
    const reference = { name: '__map%d', id: nextId() };
    const map = expression.set;
    before.push(add(v.message.newSet, (w) => putInlineMap(w, table, reference, map)));
    before.push(...elementMessages(true, table, reference, map.elements));
    return reference;
  });
  const fill = (w: NlWriter): void => {
    putText(w, 1, table);
    putText(w, 2, chain);
    putNested(w, 4, (list) => {
      rule.expressions.forEach((expression, i) => putExpression(list, expression, references[i]));
    });
    putBytes(w, 7, userData(0, encoder.encode(`${rule.comment}\0`)));
  };
  return [...before, { type: v.message.newRule, flags: NLM_F_CREATE | NLM_F_APPEND, fill }];
}

function putSet(w: NlWriter, table: string, set: NftSet, id: number): void {
  const { dataType, dynamic, size } = set;
  const flags =
    (dataType === undefined ? 0 : v.setFlag.map) |
    (dynamic === undefined ? 0 : v.setFlag.timeout | v.setFlag.dynamic);
  putText(w, 1, table);
  putText(w, 2, set.name);
  putBe32(w, 3, flags);
  putTypes(w, set.keyType, dataType);
  if (size !== undefined) putNested(w, 9, (description) => putBe32(description, 1, size));
  putBe32(w, 10, id);
  if (dynamic !== undefined) putBe64(w, 11, BigInt(dynamic.timeoutMs));
  putBytes(w, 13, Uint8Array.of(...orderData(set.keyType, dataType), ...expressionData(set)));
}

function putInlineMap(w: NlWriter, table: string, { name, id }: SetReference, map: InlineMap): void {
  putText(w, 1, table);
  putText(w, 2, name);
  putBe32(w, 3, v.setFlag.anonymous | v.setFlag.constant | v.setFlag.map);
  putTypes(w, map.keyType, map.dataType);
  putNested(w, 9, (description) => putBe32(description, 1, map.elements.length));
  putBe32(w, 10, id ?? 0);
  putBytes(w, 13, orderData(map.keyType, map.dataType));
}

function putTypes(w: NlWriter, keyType: NftType, dataType: NftType | 'verdict' | undefined): void {
  putBe32(w, 4, v.typeNumber(keyType));
  putBe32(w, 5, v.typeLength(keyType));
  if (dataType === undefined) return;
  putBe32(w, 6, dataType === 'verdict' ? v.VERDICT_TYPE : v.typeNumber(dataType));
  // The length of a verdict is the kernel's own affair.
  if (dataType !== 'verdict') putBe32(w, 7, v.typeLength(dataType));
}

function elementMessages(
  isAdd: boolean,
  table: string,
  { name, id }: SetReference,
  elements: readonly NftElement[],
): readonly Message[] {
  const messages: Message[] = [];
  for (let from = 0; from < elements.length; from += elementsPerMessage) {
    const some = elements.slice(from, from + elementsPerMessage);
    const fill = (w: NlWriter): void => {
      putText(w, 1, table);
      putText(w, 2, name);
      if (id !== undefined) putBe32(w, 4, id);
      putNested(w, 3, (list) => {
        for (const element of some) putElement(list, isAdd ? element : { key: element.key });
      });
    };
    messages.push(isAdd ? add(v.message.newElements, fill) : remove(v.message.deleteElements, fill));
  }
  return messages;
}

function putElement(w: NlWriter, { key, data }: NftElement): void {
  putNested(w, 1, (element) => {
    putNested(element, 1, (value) => putBytes(value, 1, bytesOfHex(key)));
    if (data !== undefined) putData(element, 2, data);
  });
}

/** Byte order of keys (type 0) and data (type 1) for nft(8): 1 the machine's, 2 the network's. */
function orderData(keyType: NftType, dataType: NftType | 'verdict' | undefined): Uint8Array {
  const order = (type: NftType): Uint8Array => new NlWriter().u32(v.isHostOrder(type) ? 1 : 2).done();
  const key = userData(0, order(keyType));
  if (dataType === undefined || dataType === 'verdict') return key;
  return Uint8Array.of(...key, ...userData(1, order(dataType)));
}
