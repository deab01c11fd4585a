/**
 * What makes a JSON document show any change of it: the last member of the object is the CRC-32 of all text before that.
 *
 *   {...,"crc32":1234567890}\n
 */

import { crc32 } from "../host/checksum.ts";
import { Fault } from "../model/fault.ts";
import { composeJson } from "../model/json-text.ts";

const sealPattern = /,"crc32":([0-9]{1,10})\}\n$/;

/** @param fields at least one */
export function writeDocument(fields: object): string {
  const text = composeJson(fields).slice(0, -1);
  return `${text},"crc32":${crc32([Buffer.from(text)])}}\n`;
}

/** @throws Fault corrupt when the text is not as it was written */
export function checkDocument(text: string, path: string): void {
  const seal = sealPattern.exec(text);
  if (seal === null) throw new Fault("corrupt", `${path} does not end with its checksum`);
  const found = crc32([Buffer.from(text.slice(0, seal.index))]);
  if (found !== Number(seal[1])) throw new Fault("corrupt", `${path} has the checksum ${found}, expected ${seal[1]}`);
}
