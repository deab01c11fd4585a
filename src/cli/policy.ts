/** What the settings say of retention, as the care of the store wants it. */

import type { RetentionPolicy } from "../care/retention.ts";
import type { Config } from "./settings.ts";

const nsPerMs = 1_000_000n;

export function retentionPolicy(config: Config): RetentionPolicy {
  const requireSynced = !config.evict_unsynced;
  return {
    bytesMax: config.max_bytes === 0 ? undefined : config.max_bytes,
    ageMaxNs: config.max_age === 0 ? undefined : BigInt(config.max_age) * nsPerMs,
    rest: { name: "default", priority: 0, keep: false, requireSynced, minAgeNs: 0n },
    rules: config.retention_class.map(({ name, sequence, tag, metadata, priority, keep, require_synced, min_age }) => ({
      sequence,
      tag,
      metadata,
      class: {
        name,
        priority,
        keep,
        requireSynced: require_synced ?? requireSynced,
        minAgeNs: BigInt(min_age ?? 0) * nsPerMs,
      },
    })),
  };
}
