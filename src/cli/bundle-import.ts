/**
 * The command `bundle import`: into the store of this machine. A server that runs takes it over the socket in its data directory, which
 * only its owner can open; where none runs, this process serves the store over that socket for as long as it takes. So there is no second
 * way into a store, with its own idea of limits, room, names and order.
 */

import type { Bundle } from "../bundle/bundle-file.ts";
import { findOwnSession } from "../bundle/own-session.ts";
import { flightSocketOf, isServed } from "../care/ownership.ts";
import { type Catalog, openCatalogToRead } from "../catalog/catalog.ts";
import { findSequence } from "../catalog/resources.ts";
import { readOwner } from "../catalog/store-facts.ts";
import { Remote } from "../client/remote.ts";
import { socketPlaceIn } from "../host/control-socket.ts";
import { type Disk, openDisk } from "../host/disk.ts";
import { assert } from "../model/assert.ts";
import { importOwnersMax } from "../model/bundle-limits.ts";
import { Fault } from "../model/fault.ts";
import { sequenceOfSession } from "../model/locator.ts";
import type { RemoteUrl } from "../model/remote-url.ts";
import { catalogDirectory } from "../store/layout.ts";
import { bringTo, openTrusted, type TransferRequest } from "./bundle-transfer.ts";
import { serve } from "./run.ts";
import type { Config } from "./settings.ts";
import { findStore } from "./with-catalog.ts";

/** Whoever served the store is gone, or has come: it is to be looked at anew. */
class OwnerChanged extends Error {}

/** The store there is. @throws Fault absent: a mistyped name must not become another store */
async function findStoreOrAdvise(dataDirectory: string): Promise<Disk> {
  try {
    return await findStore(dataDirectory);
  } catch (error) {
    if (!(error instanceof Fault && error.code === "absent")) throw error;
    throw new Fault("absent", `${error.message}; --create makes one`, error);
  }
}

/** The exit code: 0 when all sessions are there. @throws Fault absent, corrupt, denied, as `serve` and `pushBundle` */
export async function importBundle(
  config: Config,
  { create, ...request }: TransferRequest & { readonly create: boolean },
): Promise<number> {
  await using bundle = await openTrusted(request);
  const disk = create ? await openDisk(config.data_dir) : await findStoreOrAdvise(config.data_dir);
  for (let tries = 1; ; tries += 1) {
    try {
      return (await isServed(disk))
        ? await throughOwner(disk, bundle, request)
        : await asOwner(config, disk, bundle, request);
    } catch (error) {
      if (!(error instanceof OwnerChanged)) throw error;
      if (tries === importOwnersMax)
        throw new Fault("unavailable", `Who serves ${disk.root} has changed ${tries} times`, error);
    }
  }
}

/** @throws OwnerChanged when it is gone */
async function throughOwner(disk: Disk, bundle: Bundle, request: TransferRequest): Promise<number> {
  await using catalog = await openCatalogToRead(disk, catalogDirectory);
  const gone = new AbortController();
  const signal = AbortSignal.any([request.signal, gone.signal]);
  const unreached = async (): Promise<void> => {
    if (!(await isServed(disk))) gone.abort();
  };
  try {
    return await bring(bundle, { ...request, signal }, { disk, catalog, unreached });
  } catch (error) {
    throw gone.signal.aborted && !request.signal.aborted ? new OwnerChanged("gone", { cause: error }) : error;
  }
}

/** @throws OwnerChanged when another one was faster */
async function asOwner(config: Config, disk: Disk, bundle: Bundle, request: TransferRequest): Promise<number> {
  let code: number | undefined;
  let isOwner = false;
  try {
    // What it logs as a server nobody has asked for here, but for what goes wrong.
    await serve({ ...config, log_level: "warning" }, "socket", async ({ catalog }) => {
      isOwner = true;
      code = await bring(bundle, request, { disk, catalog, unreached: async () => undefined });
    });
  } catch (error) {
    const wasLate = !isOwner && error instanceof Fault && error.code === "wrong_state" && (await isServed(disk));
    throw wasLate ? new OwnerChanged("late", { cause: error }) : error;
  }
  assert(code !== undefined, "a store that was served was brought something");
  return code;
}

interface Here {
  readonly disk: Disk;
  readonly catalog: Catalog;
  /** Called when its owner does not answer. */
  unreached(): Promise<void>;
}

async function bring(bundle: Bundle, request: TransferRequest, { disk, catalog, unreached }: Here): Promise<number> {
  using places = new DisposableStack();
  const names = bundle.manifest.sessions.map(({ locator }) => sequenceOfSession(locator));
  const before = new Set(names.filter((name) => findSequence(catalog, name) !== undefined));
  return await bringTo(disk, bundle, {
    ...request,
    what: "bundle import",
    into: disk.root,
    isNear: true,
    findOwn(record) {
      catalog.refresh();
      return findOwnSession(catalog, record);
    },
    hasSequence({ name, uuid }) {
      catalog.refresh();
      return !before.has(name) && findSequence(catalog, name)?.uuid === uuid;
    },
    url: "import",
    caFile: undefined,
    keyFile: undefined,
    async connect(_target, signal) {
      catalog.refresh();
      const owner = readOwner(catalog);
      try {
        if (owner === undefined) throw new Fault("unavailable", `The server on ${disk.root} is starting or stopping`);
        using stack = new DisposableStack();
        const place = socketPlaceIn(disk.root, flightSocketOf(owner));
        stack.defer(() => place.release());
        const options = { url: local, ca: undefined, token: undefined, socket: place.path };
        const remote = await Remote.connect(options, signal);
        // Whoever goes on with it may connect again.
        places.use(stack.move());
        return remote;
      } catch (error) {
        await unreached();
        throw error;
      }
    },
  });
}

const local: RemoteUrl = { text: "the store", tls: false, host: "localhost", port: 0 };
