/**
 * How fast a client has to send or read while others wait for the memory that its message holds: nobody may hold up others by
 * being slow. As long as nobody waits, a client takes all the time that it likes.
 */

export interface PaceLimits {
  /** Time in which nothing is asked. */
  readonly graceMs: number;
  readonly bytesPerSecond: number;
}

/** Messages that are under way on one connection: its link is theirs together. */
export interface PaceGroup {
  underWay: number;
}

const groups = new WeakMap<object, PaceGroup>();

export function paceGroupOf(connection: object): PaceGroup {
  const known = groups.get(connection);
  if (known !== undefined) return known;
  const group = { underWay: 0 };
  groups.set(connection, group);
  return group;
}

export interface PaceOptions extends PaceLimits {
  /** Of the others on its connection. */
  readonly group: PaceGroup;
  /** Whether somebody still waits for the memory. */
  isWanted(): boolean;
  /** Called once when the client has been too slow. */
  late(): void;
}

const tickMs = 1_000;

export class Pace implements Disposable {
  readonly #options: PaceOptions;
  #isWanted = false;
  #hasBegun = false;
  #wantedMs = 0;
  #askedBytes = 0;
  #movedBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PaceOptions) {
    this.#options = options;
  }

  /** Somebody waits for the memory. */
  readonly wanted = (): void => {
    this.#isWanted = true;
    this.#watch();
  };

  /** It is the client's turn. */
  begin(): void {
    if (!this.#hasBegun) this.#options.group.underWay += 1;
    this.#hasBegun = true;
    this.#watch();
  }

  moved(bytes: number): void {
    if (this.#timer !== undefined) this.#movedBytes += bytes;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    if (this.#hasBegun) this.#options.group.underWay -= 1;
    this.#hasBegun = false;
  }

  #watch(): void {
    if (this.#isWanted && this.#hasBegun) this.#timer ??= setInterval(() => this.#check(), tickMs);
  }

  #check(): void {
    const { graceMs, bytesPerSecond, group, isWanted, late } = this.#options;
    if (!isWanted()) return;
    this.#wantedMs += tickMs;
    if (this.#wantedMs <= graceMs) return;
    this.#askedBytes += (bytesPerSecond * Math.min(tickMs, this.#wantedMs - graceMs)) / 1_000 / group.underWay;
    if (this.#movedBytes >= this.#askedBytes) return;
    clearInterval(this.#timer);
    late();
  }
}
