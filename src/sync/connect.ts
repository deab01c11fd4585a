/** Connects to a target. Its files are read anew each time: keys and certificates are exchanged while servers run. */

import { Remote } from "../client/remote.ts";
import { readTrusted } from "../host/certificate.ts";
import { readOutsideText } from "../host/disk.ts";
import { Fault } from "../model/fault.ts";
import { isLoopback, parseRemoteUrl } from "../model/remote-url.ts";
import type { Target } from "../model/target.ts";

/** @throws Fault invalid, absent, unavailable naming the file that cannot be read or is no such; as `Remote.connect` */
export async function connectTo(
  { url, caFile, keyFile }: Pick<Target, "url" | "caFile" | "keyFile">,
  signal: AbortSignal,
): Promise<Remote> {
  const ca = caFile === undefined ? undefined : readTrusted({ setting: "--ca", file: caFile });
  const token = keyFile === undefined ? undefined : readKey(keyFile);
  return await Remote.connect({ url: parseRemoteUrl(url), ca, token }, signal);
}

/** A warning, where others on the way can read the key. */
export function whyExposed({ url, keyFile }: Pick<Target, "url" | "keyFile">): string | undefined {
  const { tls, host } = parseRemoteUrl(url);
  if (keyFile === undefined || tls || isLoopback(host)) return undefined;
  return `The key goes to ${host} unencrypted: whoever is on the way can read it and use it. With grpc+tls:// nobody can.`;
}

/** What is no key may be another secret: nothing of it is repeated. */
function readKey(file: string): string {
  let text: string;
  try {
    text = readOutsideText(file).trim();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const code = error instanceof Fault ? error.code : "unavailable";
    throw new Fault(code, `The API key: ${reason}`, error);
  }
  if (/^[\x21-\x7e]{1,200}$/.test(text)) return text;
  throw new Fault("invalid", `The API key in ${file} is not one line of at most 200 printable ASCII characters.`);
}
