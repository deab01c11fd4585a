/** The catalog of a data directory for one command, also while the server runs. */

import { checkCatalogFormat, checkIsStore, checkOurs } from "../care/identity.ts";
import { type Catalog, openCatalog, openCatalogToRead } from "../catalog/catalog.ts";
import { type Disk, findDisk, openDisk } from "../host/disk.ts";
import { catalogDirectory } from "../store/layout.ts";

type Act<T> = (catalog: Catalog, disk: Disk) => T | Promise<T>;

/** Of a directory that has one: a mistyped name must not become an empty store. @throws Fault absent, wrong_state, corrupt */
export async function withCatalog<T>(dataDirectory: string, act: Act<T>): Promise<T> {
  return await onCatalog(await findStore(dataDirectory), (disk) => openToWrite(disk, "refuse"), act);
}

/** As `withCatalog`, without anything being written. */
export async function withCatalogToRead<T>(dataDirectory: string, act: Act<T>): Promise<T> {
  return await onCatalog(await findStore(dataDirectory), (disk) => openCatalogToRead(disk, catalogDirectory), act);
}

/** For what is made before the first start: the directory may be new. @throws Fault wrong_state, corrupt */
export async function withNewCatalog<T>(dataDirectory: string, act: Act<T>): Promise<T> {
  const disk = await openDisk(dataDirectory);
  await checkOurs(disk);
  return await onCatalog(disk, () => openToWrite(disk, "make"), act);
}

/** @throws Fault absent, wrong_state */
export async function findStore(dataDirectory: string): Promise<Disk> {
  const disk = await findDisk(dataDirectory);
  await checkIsStore(disk);
  return disk;
}

function openToWrite(disk: Disk, whenMissing: "make" | "refuse"): Promise<Catalog> {
  return openCatalog({ disk, directory: catalogDirectory, whenMissing, onFailure: () => undefined });
}

async function onCatalog<T>(disk: Disk, open: (disk: Disk) => Promise<Catalog>, act: Act<T>): Promise<T> {
  await using catalog = await open(disk);
  checkCatalogFormat(catalog);
  return await act(catalog, disk);
}
