/** What is once in a store is once in a bundle: names and UUIDs, of which a session could take those of another. */

import { Fault } from "../model/fault.ts";
import type { SessionContent } from "./session-content.ts";

export class Once {
  /** Whose each is. */
  readonly #owners = new Map<string, string>();

  /** @throws Fault corrupt when a session before has something of this one; then nothing of this one is noted */
  add({ sequence, record: { session, topics } }: SessionContent): void {
    const owned: readonly (readonly [what: string, owner: string])[] = [
      [`sequence ${sequence.name}`, sequence.ulid],
      [`sequence UUID ${sequence.uuid}`, sequence.ulid],
      [`session UUID ${session.uuid}`, session.ulid],
      [`session UUID ${session.alias}`, session.ulid],
      ...topics.flatMap(({ topic }) => [
        [`topic \`${topic.locator}\``, session.ulid] as const,
        [`topic UUID ${topic.uuid}`, session.ulid] as const,
      ]),
    ];
    for (const [what, owner] of owned) {
      const known = this.#owners.get(what);
      if (known === undefined || known === owner) continue;
      const shown = what.replace(/ UUID .*/, " UUID");
      throw new Fault(
        "corrupt",
        `Session \`${session.locator}\`: expected ${shown} once in the bundle, found it in another session too`,
      );
    }
    for (const [what, owner] of owned) this.#owners.set(what, owner);
  }
}
