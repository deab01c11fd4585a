/** Definitions of ontology models outside of the store: single files, and the directory that the setting names. */

import { readOutsideDirectory, readOutsideText } from "../host/disk.ts";
import { ontologyFilesMax } from "../model/limits.ts";
import type { OntologyModel } from "../model/ontology.ts";
import { parseDefinitions } from "../wire/ontology-definition.ts";

/** By tag. @throws Fault absent, invalid naming file, path, expected and found */
export function readOntologyDirectory(directory: string | undefined): ReadonlyMap<string, readonly OntologyModel[]> {
  if (directory === undefined) return new Map();
  const files = readOutsideDirectory(directory, { ending: ".json", limits: ontologyFilesMax });
  return byTag(files.flatMap(({ file, text }) => parseDefinitions(text, file)));
}

/** @throws Fault absent, invalid naming file, path, expected and found */
export function readOntologyFile(file: string): ReadonlyMap<string, readonly OntologyModel[]> {
  return byTag(parseDefinitions(readOutsideText(file), file));
}

function byTag(models: readonly OntologyModel[]): ReadonlyMap<string, readonly OntologyModel[]> {
  return Map.groupBy(models, ({ tag }) => tag);
}
