/** The command `verify`: findings as lines or JSON on stdout, how far it is on a terminal. */

import { describeFinding, isOfCatalog } from "../care/finding.ts";
import { verify } from "../care/verify.ts";
import { findDisk } from "../host/disk.ts";
import { printOut } from "../host/log.ts";
import { Fault } from "../model/fault.ts";
import { openProgress } from "./progress.ts";

/** The exit code: 0 when nothing is damaged. @throws Fault invalid, absent when the directory is no store or has no such session */
export async function verifyStore(
  dataDirectory: string,
  { session, json }: { session: string | undefined; json: boolean },
): Promise<number> {
  if (session === "") throw new Fault("invalid", "--session: expected a locator, UUID or ULID, found nothing");
  const disk = await findDisk(dataDirectory);
  const progress = openProgress("verify");
  const verified = await verify(disk, { session, onProgress: progress.show }).finally(progress.end);
  const damaged = verified.findings.some(({ severity }) => severity === "damage");
  if (json) printOut(`${JSON.stringify({ ...verified, sound: !damaged })}\n`);
  else {
    for (const finding of verified.findings) printOut(`${describeFinding(finding)}\n`);
    if (verified.findings.some(isOfCatalog))
      printOut("the catalog is lost or damaged: mosaico-edge rebuild makes another one of the directories\n");
    printOut(
      `${damaged ? "damaged" : "sound"}: ${verified.sessions} sessions, ${verified.bytes} bytes of chunks read\n`,
    );
  }
  return damaged ? 1 : 0;
}
