/**
 * Encapsulated IPC messages, as files and FlightInfo have them; FlightData carries the bare header instead.
 *
 *   FF FF FF FF, i32 length of header and padding, header (flatbuffer Message), padding to a multiple of 8
 */

import { Fault } from "../model/fault.ts";

const prefixBytes = 8;
const continuation = 0xffffffff;

/** The next multiple of 8. */
export function paddedBytes(bytes: number): number {
  return (bytes + 7) & ~7;
}

/** The header with its padding, as a file gives it back; a copy. Its frame is the same as that of the bare header. */
export function paddedHeader(header: Uint8Array): Uint8Array {
  const padded = new Uint8Array(paddedBytes(header.byteLength));
  padded.set(header);
  return padded;
}

/** Prefix, header and padding; a copy. */
export function frameHeader(header: Uint8Array): Uint8Array {
  const frame = new Uint8Array(paddedBytes(prefixBytes + header.byteLength));
  const view = new DataView(frame.buffer);
  view.setUint32(0, continuation, true);
  view.setInt32(4, frame.byteLength - prefixBytes, true);
  frame.set(header, prefixBytes);
  return frame;
}

/** The header of an encapsulated message, with its padding; borrows from `frame`. @throws Fault corrupt */
export function splitFrame(frame: Uint8Array): Uint8Array {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (frame.byteLength < prefixBytes || view.getUint32(0, true) !== continuation) {
    throw new Fault("corrupt", `An IPC message of ${frame.byteLength} bytes does not start with FF FF FF FF`);
  }
  const length = view.getInt32(4, true);
  if (length !== frame.byteLength - prefixBytes) {
    throw new Fault(
      "corrupt",
      `An IPC message says that its header has ${length} bytes, expected ${frame.byteLength - prefixBytes}`,
    );
  }
  return frame.subarray(prefixBytes);
}
