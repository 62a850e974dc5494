import { ByteReader, ByteWriter } from '../../lib/bytes.ts';
import { DecodeError } from '../../lib/errors.ts';
import type { Prefix } from '../../lib/ip.ts';
import { BgpDecodeError, errorCode } from './errors.ts';
import { readAttributes, writeAttributes } from './attributes.ts';
import { prefixSize, readPrefixes, writePrefixes } from './prefixes.ts';
import type { Update } from './types.ts';
import { HEADER_LENGTH, MAX_MESSAGE_LENGTH } from './codec.ts';

/**
 * The content of an UPDATE. `asOctets` is 4 where both sides have the four-octet AS capability (RFC 6793).
 * Throws BgpDecodeError. Only tests decode what we send: what peers advertise is ignored.
 */
export function decodeUpdate(body: Uint8Array, asOctets: 2 | 4): Update {
  try {
    const reader = new ByteReader('bgp', body);
    const withdrawn = readPrefixes(
      reader.bytesOf('withdrawn routes', reader.u16('withdrawn routes length')),
      4,
    );
    const attributes = readAttributes(
      reader.bytesOf('path attributes', reader.u16('path attributes length')),
      asOctets,
    );
    const nlri = readPrefixes(reader.bytesOf('NLRI', reader.remaining), 4);
    return { withdrawn, attributes, nlri };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    const notification = { code: errorCode.update, subcode: 1, data: new Uint8Array() };
    throw new BgpDecodeError(error.field, error.offset, error.message, notification);
  }
}

/** RFC 4271 4.3; `asOctets` as above. */
export function encodeUpdate({ withdrawn, attributes, nlri }: Update, asOctets: 2 | 4): Uint8Array {
  const gone = writePrefixes(withdrawn);
  const path = writeAttributes(attributes, asOctets);
  return new ByteWriter()
    .u16(gone.length)
    .bytes(gone)
    .u16(path.length)
    .bytes(path)
    .bytes(writePrefixes(nlri))
    .done();
}

/** Bytes left in an UPDATE for routes, whatever attributes of ours stand beside them. */
const roomForRoutes = MAX_MESSAGE_LENGTH - HEADER_LENGTH - 256;

/** Routes with the same attributes in as few UPDATEs as they fit in. */
export function packUpdates(
  prefixes: readonly Prefix[],
  build: (prefixes: readonly Prefix[]) => Update,
): readonly Update[] {
  const updates: Update[] = [];
  let batch: Prefix[] = [];
  let size = 0;
  for (const prefix of prefixes) {
    if (size + prefixSize(prefix) > roomForRoutes) {
      updates.push(build(batch));
      [batch, size] = [[], 0];
    }
    batch.push(prefix);
    size += prefixSize(prefix);
  }
  return batch.length === 0 ? updates : [...updates, build(batch)];
}
