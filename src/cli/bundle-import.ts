/**
 * The command `bundle import`: into the store of this machine. A server that runs takes it over the socket in its data directory, which
 * only its owner can open; where none runs, this process serves the store over that socket for as long as it takes. So there is no second
 * way into a store, with its own idea of limits, room, names and order.
 */

import type { Bundle } from "../bundle/bundle-file.ts";
import { flightSocketOf, isServed } from "../care/ownership.ts";
import { type Catalog, openCatalogToRead } from "../catalog/catalog.ts";
import { findSession } from "../catalog/resources.ts";
import { type Owner, readOwner } from "../catalog/store-facts.ts";
import { Remote } from "../client/remote.ts";
import { socketPlaceIn } from "../host/control-socket.ts";
import { type Disk, openDisk } from "../host/disk.ts";
import { derivedUuid } from "../host/entropy.ts";
import { Fault } from "../model/fault.ts";
import type { RemoteUrl } from "../model/remote-url.ts";
import { catalogDirectory } from "../store/layout.ts";
import { bringTo, openTrusted, type TransferRequest } from "./bundle-transfer.ts";
import { serve } from "./run.ts";
import type { Config } from "./settings.ts";

/** The exit code: 0 when all sessions are there. @throws Fault corrupt, denied, as `serve` and `pushBundle` */
export async function importBundle(config: Config, request: TransferRequest): Promise<number> {
  await using bundle = await openTrusted(request);
  const disk = await openDisk(config.data_dir);
  if (await isServed(disk)) {
    await using catalog = await openCatalogToRead(disk, catalogDirectory);
    const owner = readOwner(catalog);
    if (owner === undefined) throw new Fault("unavailable", `The server on ${disk.root} is starting or stopping`);
    return await bring(bundle, request, { disk, catalog, owner });
  }
  let code = 0;
  // What it logs as a server nobody has asked for here, but for what goes wrong.
  await serve({ ...config, log_level: "warning" }, "socket", async ({ catalog, owner }) => {
    code = await bring(bundle, request, { disk, catalog, owner });
  });
  return code;
}

interface Here {
  readonly disk: Disk;
  readonly catalog: Catalog;
  /** Who serves it. */
  readonly owner: Owner;
}

async function bring(bundle: Bundle, request: TransferRequest, { disk, catalog, owner }: Here): Promise<number> {
  const place = socketPlaceIn(disk.root, flightSocketOf(owner));
  try {
    return await bringTo(disk, bundle, {
      ...request,
      what: "bundle import",
      isNear: true,
      hasOwn({ ulid, uuid }) {
        const known = findSession(catalog, ulid);
        return known !== undefined && derivedUuid(known.uuid, "session") === uuid;
      },
      url: "import",
      caFile: undefined,
      keyFile: undefined,
      connect: (_target, signal) =>
        Remote.connect({ url: local, ca: undefined, token: undefined, socket: place.path }, signal),
    });
  } finally {
    place.release();
  }
}

const local: RemoteUrl = { text: "the store", tls: false, host: "localhost", port: 0 };
