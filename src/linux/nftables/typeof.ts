import type { NftAtom, NftSet, NftType } from './types.ts';
import { userData, userNumber } from './user-data.ts';

/*
 * Types that nft(8) knows by an expression only (`typeof`). It writes the expressions of keys and data into
 * the user data of the set, as they are here (nft 1.0.6: src/netlink.c, src/expression.c, src/payload.c,
 * src/numgen.c), and reads them from there. The kernel only keeps them.
 */

/** NFTNL_UDATA_SET_*TYPEOF, and in those the kind of expression and what it says. */
const KEY_TYPEOF = 3;
const DATA_TYPEOF = 4;
const EXPRESSION = 0;
const EXPRESSION_DATA = 1;

/** enum expr_types. */
const PAYLOAD = 7;
const CONCAT = 13;
const NUMGEN = 23;

/** enum proto_desc_id and the numbers of fields in its headers. */
const fields: Partial<Readonly<Record<NftAtom, readonly [protocol: number, field: number]>>> = {
  ipv4_addr: [12, 12],
  ipv6_addr: [13, 9],
  inet_service: [8, 2],
};

/** The expressions of a map whose keys are turns; nothing for others, which have types with names. */
export function expressionData({ keyType, dataType }: NftSet): Uint8Array {
  if (keyType !== 'turn' || dataType === undefined || dataType === 'verdict') return new Uint8Array();
  return Uint8Array.of(
    ...userData(KEY_TYPEOF, expression(NUMGEN, numgen())),
    ...userData(DATA_TYPEOF, concatenation(dataType)),
  );
}

function expression(kind: number, data: Uint8Array): Uint8Array {
  return Uint8Array.of(...userNumber(EXPRESSION, kind), ...userData(EXPRESSION_DATA, data));
}

/** `numgen inc mod 2`: kind, modulus, offset. The modulus means nothing for the type. */
function numgen(): Uint8Array {
  return Uint8Array.of(...userNumber(0, 0), ...userNumber(1, 2), ...userNumber(2, 0));
}

/** `ip daddr . tcp dport` for ipv4_addr . inet_service. */
function concatenation(type: NftType): Uint8Array {
  const parts = typeof type === 'string' ? [type] : type;
  const list = parts.flatMap((atom, n) => [...userData(n, payload(atom))]);
  return expression(CONCAT, Uint8Array.from(list));
}

function payload(atom: NftAtom): Uint8Array {
  const field = fields[atom];
  if (field === undefined) throw new RangeError(`no header field has the type ${atom}`);
  return expression(PAYLOAD, Uint8Array.of(...userNumber(0, field[0]), ...userNumber(1, field[1])));
}
