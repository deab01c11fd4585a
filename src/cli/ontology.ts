/** The command `ontology`: lists, shows and exports models, registers and removes a user's own, also while the server runs. */

import type { Catalog } from "../catalog/catalog.ts";
import {
  countRegisteredTags,
  findRegistered,
  listRegistered,
  putRegistered,
  registeredBytes,
  removeRegistered,
} from "../catalog/ontology-rows.ts";
import { printOut } from "../host/log.ts";
import { builtInModels } from "../model/built-in-models.ts";
import { Fault } from "../model/fault.ts";
import { ontologyRegisteredMax } from "../model/limits.ts";
import { generationsOf, type OntologyField, type OntologyModel } from "../model/ontology.ts";
import { textOfField } from "../model/ontology-type.ts";
import { definitionOf } from "../wire/ontology-definition.ts";
import { readOntologyDirectory, readOntologyFile } from "./ontology-directory.ts";
import { settings } from "./settings.ts";
import { printTable } from "./table.ts";
import { withCatalog, withCatalogToRead, withNewCatalog } from "./with-catalog.ts";

/** Where to look beside the built-in models. */
export interface OntologyPlaces {
  /** Undefined when nobody names one: the usual one, where it is there. */
  readonly dataDir: string | undefined;
  readonly ontologyDir: string | undefined;
}

export type OntologyFormat = "table" | "json";

interface Sourced {
  readonly source: "registered" | "directory" | "built-in";
  readonly model: OntologyModel;
}

/** All models that count, by tag. @throws Fault absent when a directory that was named is none */
async function readModels({ dataDir, ontologyDir }: OntologyPlaces): Promise<ReadonlyMap<string, readonly Sourced[]>> {
  const registered = await readRegistered(dataDir);
  const custom: Sourced[] = [
    ...registered.map((model) => ({ source: "registered", model }) as const),
    ...[...readOntologyDirectory(ontologyDir).values()]
      .flat()
      .map((model) => ({ source: "directory", model }) as const),
  ];
  const customOf = Map.groupBy(custom, ({ model }) => model.tag);
  const tags = new Set([...customOf.keys(), ...builtInModels().keys()]);
  const entries = [...tags].toSorted().map((tag) => {
    const own = customOf.get(tag) ?? [];
    const counting = generationsOf(
      own.map(({ model }) => model),
      builtInModels().get(tag) ?? [],
    );
    const sourceOf = (model: OntologyModel) => own.find((one) => one.model === model)?.source ?? "built-in";
    return [tag, counting.map((model): Sourced => ({ source: sourceOf(model), model }))] as const;
  });
  return new Map(entries);
}

async function readRegistered(dataDir: string | undefined): Promise<OntologyModel[]> {
  try {
    return await withCatalogToRead(dataDir ?? settings.data_dir.normal, listRegistered);
  } catch (error) {
    if (dataDir === undefined && error instanceof Fault && error.code === "absent") return [];
    throw error;
  }
}

/** One line per generation of a tag. @throws Fault absent, invalid */
export async function listOntology(places: OntologyPlaces, format: OntologyFormat): Promise<void> {
  const lines = [...(await readModels(places)).values()].flat().map(({ source, model }) => ({
    tag: model.tag,
    format: model.format,
    source,
    description: model.description ?? "",
    fields: model.fields.length,
    roles: roleWords(model),
  }));
  if (format === "json") printJson(lines);
  else
    printTable([
      ["TAG", "FORMAT", "SOURCE", "FIELDS", "ROLES", "DESCRIPTION"],
      ...lines.map((line) => [
        line.tag,
        line.format,
        line.source,
        String(line.fields),
        line.roles.join(", "),
        line.description,
      ]),
    ]);
}

function roleWords({ roles: { position, vectors } }: OntologyModel): string[] {
  return [
    ...(position === undefined ? [] : ["position"]),
    ...(vectors.length === 0 ? [] : [`${vectors.length} vector${vectors.length === 1 ? "" : "s"}`]),
  ];
}

/** Every generation of a tag, field by field; as JSON its definitions. @throws Fault absent, invalid */
export async function showOntology(tag: string, places: OntologyPlaces, format: OntologyFormat): Promise<void> {
  const found = (await readModels(places)).get(tag);
  if (found === undefined) throw new Fault("absent", `There is no model of the tag ${JSON.stringify(tag)}`);
  if (format === "json") return printJson(found.map(({ model }) => definitionOf(model)));
  for (const { source, model } of found) {
    const { description, fields, roles } = model;
    printOut(`${tag} (${source}${description === undefined ? "" : `, ${description}`}), format ${model.format}\n`);
    printTable(fields.map((field) => [`  ${field.path}`, textOfField(field), fieldWords(field)]));
    if (roles.position !== undefined)
      printOut(`  position: latitude ${roles.position.latitude}, longitude ${roles.position.longitude}\n`);
    for (const axes of roles.vectors) printOut(`  vector: ${axes.join(" ")}\n`);
  }
}

function fieldWords({ optional }: OntologyField): string {
  return optional ? "may be missing" : "required";
}

/** The definitions of a user's own models, or of all, as one JSON array that can be registered. @throws Fault absent, invalid */
export async function exportOntology(places: OntologyPlaces, which: "own" | "all"): Promise<void> {
  const models = [...(await readModels(places)).values()].flat();
  printJson(
    models.filter(({ source }) => which === "all" || source !== "built-in").map(({ model }) => definitionOf(model)),
  );
}

/** Keeps all models of a file in the catalog, each tag instead of what was registered for it before. @throws Fault invalid, absent */
export async function registerOntology(file: string, dataDirectory: string): Promise<void> {
  const models = readOntologyFile(file);
  for (const [tag, generations] of models) {
    const bytes = registeredBytes(generations);
    if (bytes > ontologyRegisteredMax.rowBytes)
      throw new Fault(
        "invalid",
        `${file}: the models of ${JSON.stringify(tag)}: expected at most ${ontologyRegisteredMax.rowBytes} bytes, found ${bytes}`,
      );
  }
  const before = await withNewCatalog(dataDirectory, (catalog) => catalog.transaction(() => putAll(catalog, models)));
  for (const [tag, generations] of models)
    printOut(
      `${before.has(tag) ? "replaced" : "registered"} ${tag}: ${generations.length} generation${generations.length === 1 ? "" : "s"}\n`,
    );
}

/** The tags that were there before. To be called inside a transaction. @throws Fault overloaded before anything is written */
function putAll(catalog: Catalog, models: ReadonlyMap<string, readonly OntologyModel[]>): ReadonlySet<string> {
  const before = new Set([...models.keys()].filter((tag) => findRegistered(catalog, tag).length > 0));
  const tags = countRegisteredTags(catalog) + models.size - before.size;
  if (tags > ontologyRegisteredMax.tags)
    throw new Fault("overloaded", `Expected at most ${ontologyRegisteredMax.tags} registered tags, found ${tags}`);
  for (const [tag, generations] of models) putRegistered(catalog, tag, generations);
  return before;
}

/** @throws Fault absent */
export async function removeOntology(tag: string, dataDirectory: string): Promise<void> {
  await withCatalog(dataDirectory, (catalog) =>
    catalog.transaction(() => {
      if (findRegistered(catalog, tag).length === 0) {
        const builtIn = builtInModels().has(tag) ? "; its built-in model is part of the program" : "";
        throw new Fault("absent", `No model of the tag ${JSON.stringify(tag)} is registered${builtIn}`);
      }
      removeRegistered(catalog, tag);
    }),
  );
}

function printJson(value: unknown): void {
  printOut(`${JSON.stringify(value, undefined, 2)}\n`);
}
