/** The catalog of a data directory for one command, also while the server runs. */

import { checkCatalogFormat, checkIsStore, checkOurs } from "../care/identity.ts";
import { type Catalog, openCatalog, openCatalogToRead } from "../catalog/catalog.ts";
import { findDisk, openDisk } from "../host/disk.ts";
import { catalogDirectory } from "../store/layout.ts";

type Act<T> = (catalog: Catalog) => T | Promise<T>;

/** Of a directory that has one: a mistyped name must not become an empty store. @throws Fault absent, wrong_state, corrupt */
export async function withCatalog<T>(dataDirectory: string, act: Act<T>): Promise<T> {
  const disk = await findDisk(dataDirectory);
  await checkIsStore(disk);
  return await actOn(
    await openCatalog({ disk, directory: catalogDirectory, whenMissing: "refuse", onFailure: () => undefined }),
    act,
  );
}

/** As `withCatalog`, without anything being written. */
export async function withCatalogToRead<T>(dataDirectory: string, act: Act<T>): Promise<T> {
  const disk = await findDisk(dataDirectory);
  await checkIsStore(disk);
  return await actOn(await openCatalogToRead(disk, catalogDirectory), act);
}

/** For what is made before the first start: the directory may be new. @throws Fault wrong_state, corrupt */
export async function withNewCatalog<T>(dataDirectory: string, act: Act<T>): Promise<T> {
  const disk = await openDisk(dataDirectory);
  await checkOurs(disk);
  return await actOn(
    await openCatalog({ disk, directory: catalogDirectory, whenMissing: "make", onFailure: () => undefined }),
    act,
  );
}

async function actOn<T>(opened: Catalog, act: Act<T>): Promise<T> {
  await using catalog = opened;
  checkCatalogFormat(catalog);
  return await act(catalog);
}
