/**
 * How fast a client has to send or read while others wait for the memory that its message holds: nobody may hold up others by
 * being slow. As long as nobody waits, a client takes all the time that it likes.
 */

export interface PaceLimits {
  /** Time in which nothing is asked. */
  readonly graceMs: number;
  readonly bytesPerSecond: number;
}

const tickMs = 1_000;

export class Pace implements Disposable {
  readonly #limits: PaceLimits;
  readonly #late: () => void;
  #isWanted = false;
  #hasBegun = false;
  #ticks = 0;
  #movedBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param late called once when the client has been too slow */
  constructor(limits: PaceLimits, late: () => void) {
    this.#limits = limits;
    this.#late = late;
  }

  /** Somebody waits for the memory. */
  readonly wanted = (): void => {
    this.#isWanted = true;
    this.#watch();
  };

  /** It is the client's turn. */
  begin(): void {
    this.#hasBegun = true;
    this.#watch();
  }

  moved(bytes: number): void {
    if (this.#timer !== undefined) this.#movedBytes += bytes;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#hasBegun = false;
  }

  #watch(): void {
    if (this.#isWanted && this.#hasBegun) this.#timer ??= setInterval(() => this.#check(), tickMs);
  }

  #check(): void {
    this.#ticks += 1;
    const { graceMs, bytesPerSecond } = this.#limits;
    if (this.#movedBytes >= (bytesPerSecond * (this.#ticks * tickMs - graceMs)) / 1_000) return;
    clearInterval(this.#timer);
    this.#late();
  }
}
