/**
 * What a bundle is, byte by byte.
 *
 * A bundle is a tar archive (POSIX ustar, tar-header.ts) of regular files, one behind the other, each with a header of 512 bytes and
 * filled up with zeros to a multiple of 512; two blocks of zeros end it, and nothing is behind them. It may be cut into parts anywhere,
 * FILE.001, FILE.002 and so on, all of `part_bytes` but the last: put one behind the other they are the archive. The members, in order:
 *
 *   bundle.json                       the manifest (this file)
 *   bundle.sig                        the signature of the manifest (signature.ts)
 *   and of each session, in the order of the manifest:
 *   sequences/<ULID>.json             its sequence (store/documents.ts), with the first session that is of it
 *   sessions/<ULID>/session.json      its manifest as stores have it (store/documents.ts)
 *   sessions/<ULID>/notes.json        notifications of its sequence and topics (notes.ts)
 *   sessions/<ULID>/<n>/topic.json    of each topic, in the order of their numbers (store/documents.ts), and behind it
 *   sessions/<ULID>/<n>/00000.arrow   its chunk files, byte for byte as they lie in the store: Arrow files
 *
 * The manifest is one line of JSON in UTF-8 that ends with a line feed, in just this form, its last member the CRC-32 of all text before
 * (store/document-seal.ts):
 *
 *   {"format":1,"id":ULID,"created_at_ns":N,"version":TEXT,"store":TEXT,"part_bytes":N or null,
 *    "sessions":[{"ulid":ULID,"locator":TEXT,"sequence_ulid":ULID,"topics":N,"rows":N,"bytes":N},...],
 *    "members":[{"name":TEXT,"bytes":N,"sha256":HEX},...],"crc32":N}
 *
 * `members` lists all but the first two. UUIDs in the documents are those that a sync would use (host/entropy.ts, `derivedUuid`): the
 * UUIDs of the store, which let whoever has them write, are not in it, nor is who created a session.
 */

import type { BundleManifest, BundleMember, BundleSession } from "../model/bundle.ts";
import { bundleMax } from "../model/bundle-limits.ts";
import { Fault } from "../model/fault.ts";
import { jsonInteger } from "../model/json.ts";
import { parseSessionLocator } from "../model/locator.ts";
import { isUlid, type Ulid } from "../model/resource.ts";
import { type DocumentFields, readDocument } from "../store/document-fields.ts";
import { writeDocument } from "../store/document-seal.ts";
import { checkOrder, manifestName, shown } from "./member-name.ts";

const manifestFormat = 1;

export function writeManifest(manifest: BundleManifest): Buffer {
  const { id, createdAtNs, version, store, partBytes, sessions, members } = manifest;
  const text = writeDocument({
    format: manifestFormat,
    id,
    created_at_ns: jsonInteger(createdAtNs),
    version,
    store,
    part_bytes: partBytes ?? null,
    sessions: sessions.map(({ ulid, locator, sequenceUlid, topics, rows, bytes }) => ({
      ulid,
      locator,
      sequence_ulid: sequenceUlid,
      topics,
      rows,
      bytes,
    })),
    members: members.map(({ name, bytes, sha256 }) => ({ name, bytes, sha256 })),
  });
  return Buffer.from(text);
}

/** @throws Fault corrupt when it is not just what `writeManifest` writes; unsupported when it is of a newer format */
export function readManifest(bytes: Buffer): BundleManifest {
  const fields = readDocument(bytes.toString("utf8"), manifestName);
  const format = fields.count("format");
  if (format !== manifestFormat)
    throw new Fault(
      "unsupported",
      `${manifestName}: the bundle has format ${format}, this program reads ${manifestFormat}`,
    );
  const manifest: BundleManifest = {
    id: ulidIn(fields, "id"),
    createdAtNs: fields.integer("created_at_ns"),
    version: fields.text("version"),
    store: fields.text("store"),
    partBytes: fields.optional("part_bytes") === undefined ? undefined : fields.count("part_bytes"),
    sessions: listIn(fields, "sessions", bundleMax.sessions).map(readSession),
    members: listIn(fields, "members", bundleMax.members).map(readMember),
  };
  if (manifest.partBytes === 0) throw new Fault("corrupt", `${manifestName}: expected parts with bytes, found 0`);
  checkOrder(manifest.sessions, manifest.members);
  // Whatever else may be read out of it is not what was written.
  if (Buffer.compare(writeManifest(manifest), bytes) !== 0)
    throw new Fault("corrupt", `${manifestName}: expected it in the form in which it is written, found another one`);
  return manifest;
}

function listIn(fields: DocumentFields, name: string, most: number): DocumentFields[] {
  const list = fields.list(name);
  if (list.length === 0 || list.length > most)
    throw new Fault("corrupt", `${manifestName}: expected 1 to ${most} ${name}, found ${list.length}`);
  return list;
}

function ulidIn(fields: DocumentFields, name: string): Ulid {
  const text = fields.text(name);
  if (!isUlid(text)) throw new Fault("corrupt", `${manifestName}: expected a ULID as "${name}", found ${shown(text)}`);
  return text;
}

function readSession(fields: DocumentFields): BundleSession {
  const ulid = ulidIn(fields, "ulid");
  const text = fields.text("locator");
  try {
    const locator = parseSessionLocator(text);
    if (locator !== text || !locator.endsWith(`:${ulid}`)) throw new Fault("invalid", "it is of another session");
    return {
      ulid,
      locator,
      sequenceUlid: ulidIn(fields, "sequence_ulid"),
      topics: fields.count("topics"),
      rows: fields.count("rows"),
      bytes: fields.count("bytes"),
    };
  } catch (error) {
    if (!(error instanceof Fault) || error.code === "corrupt") throw error;
    throw new Fault("corrupt", `${manifestName}: expected the locator of session ${ulid}, found ${shown(text)}`, error);
  }
}

function readMember(fields: DocumentFields): BundleMember {
  const member = { name: fields.text("name"), bytes: fields.count("bytes"), sha256: fields.text("sha256") };
  if (!/^[0-9a-f]{64}$/.test(member.sha256))
    throw new Fault("corrupt", `${manifestName}: expected a SHA-256 of ${shown(member.name)}, found another text`);
  return member;
}
