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

/** Bytes of a key in the catalog: LMDB takes no longer ones, and a locator is a key by itself, of one byte per character. */
const catalogKeyBytesMax = 1_978;

/** Characters of a ULID behind its colon: what a session's locator has more than the name of its sequence. */
const sessionSuffixCharacters = 27;

/** Characters of the locators of each kind: whatever sequence may be created, its sessions have one too, and topics have room. */
export const locatorCharactersMax = {
  sequence: 1_024,
  session: 1_024 + sessionSuffixCharacters,
  topic: 1_792,
} as const;
assert(
  locatorCharactersMax.sequence + sessionSuffixCharacters <= locatorCharactersMax.session,
  "every sequence may have sessions",
);
assert(locatorCharactersMax.sequence + 512 <= locatorCharactersMax.topic, "every sequence has room for topics");
assert(
  Math.max(...Object.values(locatorCharactersMax)) + 64 < catalogKeyBytesMax,
  "every locator is a key, behind a hash and a number too",
);

/** Bytes of an action body and of the command of a `do_put`; user metadata with whole message definitions is tens of kB. */
export const actionBytesMax = 4 * MiB;

/** Bytes that such a body may have beyond that when it names a UUID: who passes on what came with a full body adds it. */
export const relayedBytes = KiB;

/**
 * Messages up to this many bytes, bodies of actions and answers, take nothing from a budget and so wait for nobody: like the
 * headers of a call, the number of streams bounds them.
 */
export const freeMessageBytes = 16 * KiB;

/** Bytes that larger bodies of actions hold together, from their first byte until the action has run. */
export const actionBytesTotal = 16 * MiB;
assert(2 * actionBytesMax <= actionBytesTotal, "one body always fits, also when it unfolds");

/**
 * Messages of uploads up to this many bytes draw on a share of the budget of their own: the sensors of a robot do not stand behind
 * its cameras, and not behind whoever announces a large message and does not send it.
 */
export const smallMessageBytes = 64 * KiB;
/** That share, of the budget. */
export const smallMessageShare = 1 / 32;

/** What a caller without a valid key may send: enough to see which SDK it is, which decides how it is refused. */
export const stranger = { bodyBytes: 4 * KiB, waitMs: 5_000 } as const;

/** Bytes of a message of the calls that grpc-js serves, which assembles it before anybody is asked: none needs more than a name. */
export const grpcMessageBytesMax = 8 * KiB;

/** How fast a client has to send or read, after a while, as long as others wait for the memory that its message holds. */
export const wantedPace = { graceMs: 5_000, bytesPerSecond: 64 * KiB } as const;

/**
 * The same for messages of uploads that are under way on one connection, together: they share its link. A robot at the edge of a
 * cell sends 128 kbit/s, and nothing at all while it changes the cell; to give up its message helps nobody, for it comes again.
 * What is slower is no recording: whoever waits behind the largest message of normal size has it after 35 minutes at most, and
 * after 20 seconds when its client has stopped.
 */
export const uploadPace = { graceMs: 20_000, bytesPerSecond: 16 * KiB } as const;
assert(
  uploadPace.bytesPerSecond * 35 * 60 >= messageBytes.normal,
  "the largest message of normal size has come by then",
);

/** Bytes of a notification's text in UTF-8: SDKs send tracebacks. */
export const notificationBytesMax = 64 * KiB;

/** Notifications kept per resource; the oldest goes first. An SDK reports every record that it drops. */
export const notificationsMax = 1_000;

/** Bytes of all notifications of a resource as they are stored; the oldest goes first. A thousand tracebacks fit. */
export const notificationBytesTotal = 4 * MiB;
assert(6 * notificationBytesMax + KiB <= notificationBytesTotal, "one always fits, also when JSON escapes all of it");

/**
 * Bytes of answers from the catalog that are built or on their way to sockets, beyond small ones. One that is larger has all of it
 * to itself.
 */
export const answerBytesTotal = 16 * MiB;

/** Bytes of one answer: it is built as a whole. A listing of 2,000 topics with message definitions of 100 kB fits. */
export const answerBytesMax = 256 * MiB;

/** Sequences that `list_flights` names at once: what a client that does not read holds, up to 2 kB each. */
export const listPageNames = 16;

/** Bytes of all stream windows of the process together: what clients may send before anything is admitted. */
export const windowBytesTotal = 64 * MiB;

/**
 * The same when windows are larger than they should be by now: clients have to be told and to acknowledge that they are smaller.
 * 512 streams may be opened within one round trip, and 4,096 be open in all.
 */
export const windowBytesMost = 256 * MiB;

/** Time in which a client acknowledges settings; one that does not keeps windows that are too large. */
export const settingsAckMs = 10_000;

/** HTTP/2 receive window per stream: above half a MiB nothing is gained, below 64 KiB every message waits for credit. */
export const windowBytes = { least: 64 * KiB, most: 512 * KiB } as const;

/**
 * Bytes outside the heap that were used once, after which they are freed: what they take beside the budget, twice at most. V8 begins
 * to mark when what is outside has grown by some tens of percent over what was left the last time. Sync of many small batches, four runs
 * each: 3.4 to 4.3 CPU s/GB with 4 MiB, 3.8 to 7.5 with 8, and with 16 it was 3.2 or 12, by where that line happened to be.
 */
export const youngGarbageBytes = 4 * MiB;

/**
 * How much V8's heap may grow over what lived at the last marking until it marks again, with what came to lie outside of it since. By
 * itself V8 allows some tens of percent, which of a heap of 10 MB two messages take that wait for the link: sync of batches of 4 MiB
 * marked 50 times per 0.5 GB from the first marking on, 3.4 CPU s/GB and 250 MB/s; with 100 percent once, with 200 never, 1.0 and 520.
 */
export const heapGrowthPercent = 200;

/** HTTP/2 receive window of a connection; Node refills it by itself, so it only has to be larger than one round trip. */
export const connectionWindowBytes = 16 * MiB;

/** Streams that one connection may have open: an SDK holds one per topic, up to a thousand, and makes other calls beside. */
export const streamsPerConnectionMax = 1_280;

/**
 * Connections: a client has a few, each takes some 50 kB while it rests. They get a part of the files that the process may open:
 * each upload and each read has a file too, and a store that cannot open its files is of no use.
 */
export const connections = { most: 1_024, filesPerConnection: 4 } as const;

/** Time in which a connection makes its first call. Whoever has called may rest as long as it likes. */
export const firstCallMs = 15_000;

/** How long an open that meets no free descriptor is tried again: calls that end give theirs back. */
export const openRetry = { firstMs: 10, mostMs: 500, totalMs: 5_000 } as const;

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

/** Time in nanoseconds after which the latest wall time is noted again: each note costs a commit. */
export const latestTimeNotedNs = 60_000_000_000n;

/** API keys that may exist at once. */
export const apiKeysMax = 10_000;

/** Peers and keys whose dialect is remembered; the oldest is forgotten first. */
export const dialectMemoriesMax = 10_000;

/** Topics of one session: the manifest of a session is one file. */
export const topicsPerSessionMax = 100_000;

/** Sessions watched for whether their client could read the answer; a client that opens so many names the first ones soon. */
export const sessionsWatchedMax = 10_000;

/** Sequences of one connection whose maker is remembered: a client opens the session of the one that it has just created. */
export const sequencesPerConnectionMax = 64;

/** Bytes to which a compressed buffer is unfolded at once, in about a ms; larger ones in pieces, between which others go on. */
export const unfoldAtOnceBytesMax = MiB;

/** Bytes of rows that a merge of overlapping batches holds at once; less when others merge too. */
export const mergeBytes = { least: MiB, most: 16 * MiB } as const;

/** What the command `query` may hold of rows that overlap in time: an eighth of a server's normal budget. */
export const commandQueryBytes = 32 * MiB;

/**
 * Time that a merge keeps its memory though others wait: several times what it takes to load the most that it may hold, and
 * short for whoever waits.
 */
export const loanLeastMs = 300;

/** Bytes that `do_get` hands to a socket at once; the least when the read budget is used up, so that no stream ever stands. */
export const readSliceBytes = { least: 16 * KiB, most: 512 * KiB } as const;

/** Bytes of a ticket or a descriptor: a locator and two times. */
export const ticketBytesMax = 16 * KiB;

/** Bytes read ahead of small batches in one chunk file. */
export const readAheadBytes = 32 * KiB;

/** Bytes of a dictionary that are copied to the next chunk at once: dictionaries may be as large as messages. */
export const copyPieceBytes = 256 * KiB;

/** Bytes that verify and rebuild read of a file at once. */
export const scanBlockBytes = MiB;

/** Bytes of one tail log that may be read again and again in search of the frame behind a damaged one: a second or so of checksums. */
export const tailSearchBytesMax = 16 * tailLogBytesMax;

/** How often what looks wrong beside a live server is looked at again, and the time between: several commits. */
export const verifyAgain = { times: 4, pauseMs: 500 } as const;

/** Values and bytes of a dictionary up to which replacements are united; beyond, a replacement begins a new chunk. */
export const dictionaryUnionMax = { values: 65_536, bytes: 4 * MiB } as const;

/** Time without a byte in the middle of a message: it holds memory that others wait for. Dead connections are found sooner. */
export const messageStallMs = 60_000;
assert(uploadPace.graceMs < messageStallMs, "while others wait less is borne");

/** Characters of the ontology tag of a topic: the name of a model, or of a model in a module. */
export const ontologyTagCharactersMax = 1_024;

/** Characters of a type in the definition of an ontology model, and how deep it may be nested: the parser is recursive. */
export const ontologyTypeMax = { characters: 4_096, depth: 32 } as const;

/** A model of a user's: fields, structs opened; characters of a field's path; bytes of its tag, which is a key in the catalog. */
export const ontologyModelMax = { fields: 4_096, pathCharacters: 1_024, tagBytes: 1_024, vectors: 64 } as const;
assert(ontologyModelMax.tagBytes + 16 < catalogKeyBytesMax, "every tag of a model is a key");

/** Models in one file of definitions, bytes of it; files and bytes of a directory of them: all are held in memory. */
export const ontologyFilesMax = { models: 256, fileBytes: MiB, files: 1_000, bytes: 16 * MiB } as const;

/** Tags that may have registered models at once, and the bytes of one as the catalog keeps it: a finalize reads it. */
export const ontologyRegisteredMax = { tags: 10_000, rowBytes: 2 * MiB } as const;

/** Differences between a topic and its model that a sentence names, and topics: a status has 2,000 characters. */
export const ontologyNamedMax = { fields: 10, topics: 3, characters: 100 } as const;

/** Topics of one session that get a notification when it is finalized, in one transaction; the sequence gets one about the others. */
export const ontologyNotesMax = 1_000;

/**
 * How long the removal of files works before it rests, how many times as long, and at most: a quarter of a processor's time while it
 * goes on, in which more than a GB comes free per second.
 */
export const removalPause = { workedMs: 10, timesWorked: 3, mostMs: 300 } as const;

/** Characters of a pattern: more than the longest locator has. */
export const patternCharactersMax = 2_048;
assert(locatorCharactersMax.topic <= patternCharactersMax, "every locator can be asked for");

/** Characters and steps of a path into user metadata, of which the deepest value has a step per level. */
export const metadataPathMax = { characters: 8_192, steps: 128 } as const;

/** Conditions on the user metadata of one kind of resource in a query. */
export const metadataConditionsMax = 256;

/**
 * User metadata that has keys of its own in the catalog's index: values, and characters of all of it. What has more is looked at by
 * each query on user metadata: it would cost a create more than that.
 */
export const searchedMetadataMax = { values: 32, characters: 64 * KiB } as const;

/**
 * How many names a query takes of the index: as few as some condition has, tried in these steps. With more the names themselves
 * take memory, and to walk all of them costs no more.
 */
export const candidatesMax = [256, 4_096, 65_536] as const;

/** How many times its size a catalog may take with the index over its sequences and topics: five were measured with full user metadata. */
export const indexGrowth = 6;

/** Operands of one `$in` that are looked up in the index, each on its own. */
export const candidateOperandsMax = 1_024;

/** Levels of nested JSON: queries walk metadata, and a stack must hold it wherever it is read. */
export const jsonDepthMax = 128;

/** Conditions on contents in a query, those in groups too, each of which is asked of every row; and how deep groups are nested. */
export const contentConditionsMax = 256;
export const contentGroupsDepthMax = 16;
assert(
  2 * contentGroupsDepthMax + 8 < jsonDepthMax,
  "JSON holds the deepest groups, of two levels each, and what is around",
);

/** Items of a list that is compared as a whole; upstream has the same. */
export const listItemsMax = 1_024;

/**
 * Time ranges of one topic in the answer of a query: what a client may ask for, and what it gets that does not say; and of all topics
 * together, some 10 MB.
 */
export const timeRanges = { most: 10_000, normal: 1_000, total: 100_000 } as const;

/** Topics whose clusters are intersected at once: all of them are read at the same time. */
export const intersectionTopicsMax = 256;

/** Operands of one `$in`: a list of names that a program has made. */
export const operandsMax = 65_536;

/**
 * Steps of a query, a few ns each: after so many others go first, which is some ms; so many without a pause are half a second
 * and more than any condition takes that is not made to be slow; so many in all are minutes, for a catalog of 100,000 topics
 * with user metadata of 100 kB each.
 */
export const querySteps = { untilPause: 2 ** 20, atOnceMax: 2 ** 26, totalMax: 2 ** 37 } as const;

/** Rows and characters of the catalog that a query reads at once, before it looks at them: what it may hold of it in memory. */
export const queryPage = { rows: 256, characters: MiB } as const;

/** Time in which equal refusals are one line of the log: SDKs poll up to 40 times a second with a key that is wrong. */
export const refusalIntervalMs = 10_000;

/** Kinds of refusals that the log counts at once, half a KB each; beyond, the oldest is written before its time. */
export const refusalKindsMax = 1_000;

/** How much larger than its sources a gathered batch may be: rows that share an item get one each. */
export const gatherGrowth = { factor: 8, bytes: 64 * KiB } as const;

/** Characters of an integer that is compared exactly; what is longer (a decimal of 256 bits has 78 digits) is compared as a float. */
export const integerCharactersMax = 80;

/** Bounds and default of `free_space_floor`: what is left for the rest of the machine. */
export const freeSpaceFloorBytes = { least: 16 * MiB, most: 2 ** 50, normal: 256 * MiB } as const;

/** Bytes that the catalog has in its own file for commits on a full disk: many times what one commit writes. */
export const catalogRoomBytes = 32 * MiB;

/** Bytes of that room that are written at once, while nobody else can commit. */
export const roomStepBytes = 4 * MiB;

/** What a commit of some rows writes beside their bytes: the pages on the way to them in each table, and of the list of free ones. */
export const rowPagesBytes = 64 * KiB;

/** What we write besides what is let in, above the floor too: buffers of the tail log, footers, documents, pages of the catalog. */
export const overheadBytes = 16 * MiB;

/**
 * Eviction begins so far before the point of refusal as what comes in takes while it goes on: two seconds of it, for it is looked at
 * once a second and a session of gigabytes takes half a second to go. Of the floor at least an eighth and at most half, which is in
 * proportion to what a disk has to spare, and of the quota at most a sixteenth, which may be used all the same as long as little comes in.
 */
export const evictionMargin = { ofFloor: 1 / 8, ofQuota: 1 / 16, seconds: 2, bytesMax: 512 * MiB } as const;

/** How long an upload waits for retention to make room before it is refused. */
export const roomWaitMs = 5_000;
assert(roomWaitMs < stopGraceMs, "an upload that waits for room does not hold up a stop");

/** Age of a look at the free space that small writes rely on, and bytes of a write before which it is looked at anew. */
export const freeSpaceLookMs = 100;
export const freshLookBytes = 256 * KiB;

/** Nanoseconds that the wall clock goes another way than the monotonic one, between two looks, before it is told: slewing is no jump. */
export const clockJumpNs = 2_000_000_000n;

/** Time between two looks at retention, at the free space and at the clock, in milliseconds. */
export const retentionTickMs = 1_000;

/** Evictions that `status` shows, the last ones. */
export const evictionsShownMax = 100;

/** Time until ages are looked at again. */
export const agesRestMs = 10_000;

/** Time until another plan is made after one that could not make enough room: that many times as long as it took. */
export const planRest = { leastMs: 1_000, mostMs: 10_000, timesTaken: 10 } as const;

/** Time between two lines that say that uploads are refused for want of space. */
export const spaceToldMs = 10_000;

/** Time without a refusal after which uploads count as taken in again, when there is room for what was refused. */
export const spaceOpenMs = 1_000;

/** Topics that a sentence names before it says how many more there are. */
export const topicsNamedMax = 20;

/** Paths that one line of the log names. */
export const pathsNamedMax = 20;

/** How long `status` waits for an answer: a disk that stands still for seconds is no dead server. */
export const statusWaitMs = 15_000;

/** Streams that `status` shows one by one. */
export const streamsShownMax = 100;

/** Time until a session that could not be settled is tried again: the first time, doubled each time, up to the last. */
export const settleRetryMs = { first: 60_000, most: 3_600_000 } as const;

/** Leaves of a schema that have statistics, the first ones: some 50 bytes of each are kept for every batch. */
export const statisticLeavesMax = 1_024;

/** Values that are derived of the rows of a topic: a pass over its components each. */
export const derivationsMax = 16;

/** Bytes of a text that a bound keeps: enough to tell names and paths apart. */
export const textBoundBytesMax = 64;

/** Texts that are kept as the set of all that occur, and bytes of each: states, modes, frame ids. */
export const distinctTextsMax = { texts: 16, bytes: 64 } as const;
assert(distinctTextsMax.bytes <= textBoundBytesMax, "a text that is kept is looked at as a whole");

/**
 * Values of 8 bits of one column of a batch that are looked at; where there are more, all that the type has may be there. So many
 * are mostly an image or a blob in a list of bytes, which would cost more than all else and have every value in the end.
 */
export const byteValuesMax = 65_536;

/**
 * Bytes that statistics look at or make, of those of the batch; hardly ever more than two. Columns of a hostile batch may share
 * their bytes, a thousand columns the same 32 MiB: what is beyond has no statistics.
 */
export const statisticBytes = { factor: 4, more: 64 * KiB } as const;

/** Bytes of a chunk's zones: when there are more, two neighbours each become one. */
export const zonesBytesMax = 64 * KiB;

/** Bytes of messages that a zone gathers, unless one message alone has more: reading less is not worth a read of its own. */
export const zoneBytes = 256 * KiB;

/** Items of a streamed answer that are written at once, some 100 bytes each. */
export const itemsAtOnce = 64;

/** Characters that are shown and kept of what others say, as servers that we call. */
export const foreignWordsMax = 500;
