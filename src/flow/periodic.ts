/** Work that is done again and again, never twice at once: the next round begins a while after the last one has ended. */

export interface PeriodicOptions {
  readonly everyMs: number;
  act(): Promise<void>;
  /** Told of a failure; the next round comes all the same. */
  failed(error: unknown): void;
}

/** The first round begins at once. What it returns ends the work when it is disposed, after the round that runs. */
export function startPeriodic({ everyMs, act, failed }: PeriodicOptions): AsyncDisposable {
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let running: Promise<void> = Promise.resolve();
  const round = (): void => {
    running = act()
      .catch(failed)
      .then(() => {
        if (!stopped) timer = setTimeout(round, everyMs);
      });
  };
  round();
  return {
    async [Symbol.asyncDispose]() {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
