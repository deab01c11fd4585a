/** The limits of sync; those of bundles are in bundle-limits.ts, all others in limits.ts. */

import { mergedBatchBytes, zoneBytes } from "./limits.ts";

const MiB = 1024 * 1024;

/**
 * How often a transfer asks the remote the same in vain, and is begun anew, before somebody has to look at it; and how often it waits
 * for an upload to be completed whose end was sent, which takes a busy daemon some seconds.
 */
export const transferLimits = { askedMax: 8, anewMax: 8, settledMax: 3 } as const;

/** Time in which a remote answers a call, or takes a message: a disk that stands still for seconds is no dead one. */
export const remoteCallMs = 60_000;

/**
 * Bytes that a remote may answer: words are UUIDs, states and versions. A resource has user metadata as large as the body of an action,
 * a topic has them twice, and a sequence has thousands of topics; to parse so much takes a second or two, in which nothing else goes
 * on. Of a list of all flights each is looked at and let go.
 */
export const remoteAnswerBytes = { word: 64 * 1024, resource: 12 * MiB, list: 256 * MiB } as const;

/** Bytes around a body in a message, at most: its header, and the descriptor of the first one. */
export const messageFrameBytes: number = 64 * 1024;

/** Time in which the last message of an upload that is broken off goes out. */
export const spoilMs = 1_000;

/** Bytes of a message that a remote has to take: less is none that is meant. */
export const remoteMessageBytesMin: number = 256 * 1024;

/** Characters of the version of a remote, and of the names of what it can do. */
export const remoteNameMax = 100;
/** Of these there are so many at most. */
export const remoteCapabilitiesMax = 100;

/** Bytes of a message that a central daemon takes which does not tell: those of 0.4, and of 0.5 and 0.6. */
export const centralMessageBytes = { first: 25_000_000, later: 50_000_000 } as const;

/**
 * Bytes that small batches are gathered to on their way to a remote. Each message costs it something: the central daemon some ms, an
 * edge a quarter of one; but what is together in one is read together, so that an edge, which notes what is where, gets no more than
 * such a note is for.
 */
export const syncMessageBytes = { edge: zoneBytes, central: 4 * MiB } as const;

/**
 * Bytes of rows at the central daemon. One of nearly 25 MB ends its process, again at each read. Of rows with large values each message
 * of a read carries all values of the chunks that its rows are of, so that they go one by one, which it reads well: topics of 60 MB with rows
 * of 14 kB in chunks of 4 MiB could be read back, one of 36 MB with rows of 60 kB could not.
 */
export const centralRowBytes = { most: 24_000_000, wide: 16 * 1024 } as const;

/**
 * Bytes of messages that are read back from a remote. It may give whatever it takes, with headers around it, as long as there is memory
 * for it here; so many in any case, for a central daemon sends the values of several chunks in one message, 25 MB were seen. Until one
 * has come it is taken to be as large as the rows that an edge merges. Dictionaries in force may have this share of the memory for
 * messages, without taking it.
 */
export const comparedBytes = {
  most: 64 * MiB,
  expected: mergedBatchBytes.most,
  dictionaryShare: 1 / 4,
} as const;

/** Bytes of a topic that a central daemon is asked for at once, of which it takes two and a half times as many; and windows at most. */
export const compareWindows = { bytes: 64 * MiB, most: 10_000 } as const;

/** Time between two looks of `sync status --watch`. */
export const watchEveryMs = 1_000;

/** Time that a remote gets to come to an end with what it has, before it is asked again. */
export const remoteSettleMs = 5_000;

/** Sessions that an agent holds in memory of those that are to be sent; the next ones are looked for when these are done. */
export const pendingHeldMax = 1_000;

/** Time between two walks over all sessions, and how many times as long as the last one took: each is a walk over the catalog. */
export const censusRest = { leastMs: 200, timesTaken: 10 } as const;

/**
 * What goes at once at a slow rate: as much as may go in so many seconds, so that something urgent or another rate does not wait longer,
 * but no less than what is gathered anyway.
 */
export const paced = { seconds: 1, leastBytes: syncMessageBytes.edge } as const;

/** Time between two looks at the timetable, while sync waits for its rate to allow a message. */
export const rateLookMs = 1_000;

/** Sessions whose class is remembered; beyond, all of them are looked at again. */
export const classesRememberedMax = 10_000;

/** Classes of a target, each a query that is asked of every new session. */
export const syncClassesMax = 32;

/** Parked sessions that `sync status` shows, with their reasons. */
export const parkedShownMax = 100;

/** Time between two looks at the targets, which other processes may change. */
export const targetsLookMs = 1_000;

/** Time for which it holds that something, or nothing, may go to a target now; and in which an address takes a connection. */
export const closedLookMs = 5_000;
export const reachWaitMs = 3_000;

/**
 * Time until a transfer that broke off is tried again: doubled each time, up to a minute, for a link may come back any time; one whose
 * key is refused waits for people. A session that has broken off so often without having come further lets others go first, for up to
 * some minutes; where it was the link, for seconds, for that may be better any time. And how often a remote may fail at one session before that is parked.
 */
export const syncRetry = {
  firstMs: 200,
  mostMs: 60_000,
  refusedMs: 300_000,
  firstTimes: 3,
  heldMs: 600_000,
  linkHeldMs: 15_000,
  troubleMax: 10,
} as const;

/** Sessions of which an agent remembers that they broke off: fewer than are held, so that others are left. */
export const setbacksMax: number = pendingHeldMax / 2;

/**
 * Time until sync looks again whether an upload still waits for memory. While uploads take nearly all time there is, it rests so many
 * times as long as its last message took, and at most so long: it has about a fortieth of the time then. A twentieth, and what the remote
 * takes on the same two cores, cost uploads 8 to 12 percent.
 */
export const captureRest = { leastMs: 20, timesTaken: 40, mostMs: 2_000 } as const;

/** Share of time in which the event loop works, or an upload waits for the disk, from which on uploads count as taking nearly all of it. */
export const busyLoopShare = 0.7;

/** Sessions that were synced last of which one is looked for at a remote that does not tell which store it is: one or another may have been deleted there. */
export const lookedForMax = 3;

/** Time after which a target is looked at that has nothing to get: what counts as synced there may be deleted here meanwhile. */
export const confirmEveryMs = 600_000;

/** Sequences that are gone here, of which it is known that those of their name at targets are ours: some MB of the catalog. */
export const pastClaimsMax = 10_000;

/** So many more there are before as many are given up at once. */
export const pastClaimsOver = 100;
