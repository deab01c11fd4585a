/** Every limit that is not configuration, with its unit and its reason. Configuration has its bounds here too. */

import { assert } from "./assert.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

/** Bounds and default of `max_message_bytes`: SDK 0.4 to 0.6 send up to 16 MiB in a batch, framing comes on top. */
export const messageBytes = { least: 17 * MiB, most: 512 * MiB, normal: 32 * MiB } as const;

/** Bounds and default of `memory_budget`, the bytes that messages in flight, reads and merges may hold together. */
export const memoryBytes = { least: 34 * MiB, most: 64 * 1024 * MiB, normal: 256 * MiB } as const;
assert(2 * messageBytes.normal <= memoryBytes.normal, "one message in, one out always fits");
assert(2 * messageBytes.least <= memoryBytes.least, "the smallest budget holds the two smallest messages");

/** Default of `max_chunk_size_in_bytes`; 0 means unlimited. */
export const chunkBytesNormal = 64 * MiB;

/** A chunk is sealed at this many batches, so that its catalog row stays below 4 MiB. */
export const chunkBatchesMax = 65_536;

/** Bounds and default of `commit_interval_ms`: the data that a power cut may take from a stream in flight. */
export const commitIntervalMs = { least: 1, most: 60_000, normal: 200 } as const;

/** Bytes appended since the last commit that start one before the interval has passed. */
export const commitBytesNormal = 64 * MiB;

/**
 * Batches below this many bytes go to the tail log, unless their chunk file has to be synced anyway. What goes there is written
 * twice, which pays for tiny batches everywhere, and for larger ones where syncs are slow: an SD card does 50 to 200 a second.
 */
export const tailBatchBytes = { least: 16 * KiB, most: 256 * KiB } as const;

/** Time of one sync, in milliseconds, from which on they are slow: a hundred of them take a commit interval. */
export const slowSyncMs = 2;

/** Bytes of one topic in tail logs at which they move to its chunk file. */
export const tailTopicBytesMax = MiB;

/** Bytes of one tail log, after which the next begins; and logs above which what is left in the oldest is moved. */
export const tailLogBytesMax = 64 * MiB;
export const tailLogsMax = 4;

/** Bytes of each of the two buffers that frames are collected in. */
export const tailBufferBytes = MiB;
assert(2 * tailBatchBytes.most <= tailBufferBytes, "a small batch with its frame fits into the buffer");

/** Appends of one stream that may be on their way to the disk: one is written while the next is received. */
export const appendsInFlightMax = 2;

/** Characters of a locator: LMDB keys end at 1978 bytes and a locator is part of one. */
export const locatorCharactersMax = 1_024;

/** Bytes of an action body and of a descriptor command; user metadata with whole message definitions is tens of kB. */
export const actionBytesMax = 4 * MiB;

/** Bytes of a notification's text in UTF-8: SDKs send tracebacks. */
export const notificationBytesMax = 64 * KiB;

/** Notifications kept per resource; the oldest goes first. An SDK reports every record that it drops. */
export const notificationsMax = 1_000;

/** Bytes of all stream windows of the process together: what clients may send before anything is admitted. */
export const windowBytesTotal = 64 * MiB;

/** HTTP/2 receive window per stream: above half a MiB nothing is gained, below 64 KiB every message waits for credit. */
export const windowBytes = { least: 64 * KiB, most: 512 * KiB } as const;

/** HTTP/2 receive window of a connection; Node refills it by itself, so it only has to be larger than one round trip. */
export const connectionWindowBytes = 16 * MiB;

/** Streams that one connection may have open: an SDK holds one per topic. */
export const streamsPerConnectionMax = 4_096;

/** Bytes of the headers of one call. */
export const headerBytesMax = 16 * KiB;

/** A connection that does not answer a ping for this long is dead, and its uploads end. */
export const keepalive = { everyMs: 20_000, timeoutMs: 10_000 } as const;

/** Time for uploads to commit what has arrived when the server stops. */
export const stopGraceMs = 8_000;

/** Address space of the catalog's memory map. It is not memory, and LMDB cannot grow it while readers are open. */
export const catalogMapBytes = 64 * 1024 * MiB;

/** Pages of the catalog that are looked at before it is opened: the metas, the roots and what is next to them, in a few ms. */
export const catalogPagesCheckedMax = 256;

/** Bytes of one message that `do_get` cuts or merges itself, the least when its budget is used up; whole batches pass as they came. */
export const mergedBatchBytes = { least: 64 * KiB, most: 4 * MiB } as const;

/** Rows of one message that `do_get` merges itself: run ends may have 16 bits. */
export const mergedBatchRows = 32_767;

/** Time after which a session that its creator could not read gives its names back when they are asked for again. */
export const abandonedSessionMs = 2_000;

/** API keys that may exist at once. */
export const apiKeysMax = 10_000;

/** Peers and keys whose dialect is remembered; the oldest is forgotten first. */
export const dialectMemoriesMax = 10_000;

/** Topics of one session: the manifest of a session is one file. */
export const topicsPerSessionMax = 100_000;

/** Sessions watched for whether their client could read the answer; a client that opens so many names the first ones soon. */
export const sessionsWatchedMax = 10_000;

/** Bytes to which a compressed batch may unfold when it has to be cut, sorted or merged. */
export const decompressedBytesMax = 256 * MiB;

/** Bytes of rows that a merge of overlapping batches holds at once; less when others merge too. */
export const mergeBytes = { least: MiB, most: 16 * MiB } as const;

/**
 * Time that a merge keeps its memory though others wait: several times what it takes to load the most that it may hold, and
 * short for whoever waits.
 */
export const loanLeastMs = 300;

/** Bytes that `do_get` hands to a socket at once; the least when the read budget is used up, so that no stream ever stands. */
export const readSliceBytes = { least: 16 * KiB, most: 512 * KiB } as const;

/** Bytes of the ticket of a `do_get`: a locator and two times. */
export const ticketBytesMax = 16 * KiB;

/** Bytes read ahead of small batches in one chunk file. */
export const readAheadBytes = 32 * KiB;

/** Bytes that verify and rebuild read of a file at once. */
export const scanBlockBytes = MiB;

/** How often what looks wrong beside a live server is looked at again, and the time between: several commits. */
export const verifyAgain = { times: 4, pauseMs: 500 } as const;

/** Values and bytes of a dictionary up to which replacements are united; beyond, a replacement begins a new chunk. */
export const dictionaryUnionMax = { values: 65_536, bytes: 4 * MiB } as const;

/** Time without a byte in the middle of a message: it holds memory that others wait for. Dead connections are found sooner. */
export const messageStallMs = 60_000;

/** Time in which equal refusals are one line of the log: SDKs poll up to 40 times a second with a key that is wrong. */
export const refusalIntervalMs = 10_000;

/** Kinds of refusals that the log counts at once, half a KB each; beyond, the oldest is written before its time. */
export const refusalKindsMax = 1_000;

/** Levels of nested JSON: queries walk metadata, and a stack must hold it wherever it is read. */
export const jsonDepthMax = 128;

/** How much larger than its sources a gathered batch may be: rows that share an item get one each. */
export const gatherGrowth = { factor: 8, bytes: 64 * KiB } as const;

/** Characters of an integer that is compared exactly; what is longer (a decimal of 256 bits has 78 digits) is compared as a float. */
export const integerCharactersMax = 80;
