/**
 * A topic as a remote gives it: one message after the other, each when the one before is done with. What comes meanwhile waits in the
 * window of the connection. A stream of grpc-js would take 16 messages ahead, each as large as a message may be; so each is held back
 * in front of it, and the next is only asked for when it is passed on.
 */

import { type ClientReadableStream, InterceptingCall, type Interceptor, type StatusObject } from "@grpc/grpc-js";
import type { Fault } from "../model/fault.ts";
import { inTime } from "./in-time.ts";

interface GetOptions {
  readonly signal: AbortSignal;
  open(interceptor: Interceptor): ClientReadableStream<Buffer>;
  faultOf(status: Pick<StatusObject, "code" | "details">): Fault;
  unreadable(error: unknown): Fault;
}

const nothing = Buffer.alloc(0);

export class GetStream implements Disposable {
  readonly #call: ClientReadableStream<Buffer>;
  readonly #options: GetOptions;
  readonly #ended: Promise<Fault | undefined>;
  #arrived = Promise.withResolvers<Buffer>();
  /** Lets the next message come; undefined while none is held back. */
  #pass: (() => void) | undefined;
  /** Whether what is held back was given already: the first may arrive before anybody asks. */
  #isGiven = false;
  readonly #abort = (): void => this.#call.cancel();

  constructor(options: GetOptions) {
    this.#options = options;
    this.#call = options.open((callOptions, nextCall) => {
      return new InterceptingCall(nextCall(callOptions), {
        start: (metadata, _listener, next) =>
          next(metadata, {
            onReceiveMessage: (message: Buffer, pass: (message: Buffer) => void) => {
              // What is passed on is looked at by nobody.
              this.#pass = () => pass(nothing);
              this.#arrived.resolve(message);
            },
          }),
      });
    });
    options.signal.addEventListener("abort", this.#abort, { once: true });
    this.#ended = new Promise((resolve) => {
      this.#call.on("status", (status: StatusObject) =>
        resolve(status.code === 0 ? undefined : options.faultOf(status)),
      );
    });
    // The status says it.
    this.#call.on("error", () => undefined);
    this.#call.resume();
  }

  /**
   * The next message; undefined behind the last one.
   * @throws Fault as the remote says, unavailable when nothing comes for too long; the signal's reason
   */
  async next(waitMs: number): Promise<Buffer | undefined> {
    const { signal } = this.#options;
    if (this.#isGiven) {
      const pass = this.#pass;
      this.#isGiven = false;
      this.#pass = undefined;
      this.#arrived = Promise.withResolvers();
      pass?.();
    }
    const found = await inTime(Promise.race([this.#arrived.promise, this.#ended]), "sent nothing", waitMs);
    signal.throwIfAborted();
    this.#isGiven = found instanceof Buffer;
    if (found instanceof Buffer || found === undefined) return found;
    throw found;
  }

  /** What is wrong with what the remote sent, as a fault that names it. */
  unreadable(error: unknown): Fault {
    return this.#options.unreadable(error);
  }

  /** Breaks it off, unless it has ended. */
  [Symbol.dispose](): void {
    this.#options.signal.removeEventListener("abort", this.#abort);
    this.#call.cancel();
    // A status waits behind what is held back.
    this.#pass?.();
  }
}
