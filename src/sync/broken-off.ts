/** A transfer that broke off: at which command, with what the remote or the link said. */

import type { FaultCode } from "../model/fault.ts";
import type { Command } from "./command.ts";

export class BrokenOff extends Error {
  readonly code: FaultCode;
  readonly command: Command["kind"];
  /** Whether it was at a session that lets others go first now. */
  readonly isHeld: boolean;

  constructor(command: Command["kind"], code: FaultCode, reason: string, isHeld = false) {
    super(reason);
    this.isHeld = isHeld;
    this.command = command;
    this.code = code;
  }
}
