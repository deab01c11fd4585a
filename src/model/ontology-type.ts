/**
 * Types in the words of pyarrow, as definitions of models have them: `double`, `list<item: double>`, `struct<x: double, y: double>`.
 * Structs are opened into fields of their own, so that it does not matter how a definition spells them.
 */

import { ontologyTypeMax } from "./limits.ts";
import type { OntologyField } from "./ontology.ts";

interface TypeNode {
  /** Without the members of structs that are opened. */
  readonly text: string;
  /** Of the struct that it is, or that the items of the lists are. */
  readonly members: readonly Member[];
  /** `[]` for each list around that struct. */
  readonly items: string;
}

interface Member {
  readonly name: string;
  readonly node: TypeNode;
  readonly nullable: boolean;
}

const plain =
  /^(?:null|bool|u?int(?:8|16|32|64)|halffloat|float|double|(?:string|binary)_view|(?:large_)?(?:string|binary)|fixed_size_binary\[[0-9]{1,9}\]|date32\[day\]|date64\[ms\]|time32\[m?s\]|time64\[[un]s\]|timestamp\[(?:s|ms|us|ns)(?:, tz=[^\]<>]{1,64})?\]|duration\[(?:s|ms|us|ns)\]|decimal(?:32|64|128|256)\([0-9]{1,2}, -?[0-9]{1,2}\))/;
const list = /^(?:(?:large_)?list(?:_view)?|fixed_size_list)</;

/**
 * The field at a path with everything below it: the text is a type, perhaps with ` not null` or `?` (may be missing) behind it.
 * Undefined when it is no type.
 */
export function fieldsOfType(path: string, text: string): OntologyField[] | undefined {
  if (text.length > ontologyTypeMax.characters) return undefined;
  const optional = text.endsWith("?");
  const nullable = optional || !text.endsWith(notNull);
  const bare = optional ? text.slice(0, -1) : nullable ? text : text.slice(0, -notNull.length);
  const reader = new TypeReader(bare);
  const node = reader.type(0);
  if (node === undefined || !reader.ended) return undefined;
  return [{ path, type: node.text, optional, nullable }, ...below(path, node)];
}

/** The text that `fieldsOfType` reads back. */
export function textOfField({ type, optional, nullable }: OntologyField): string {
  return optional ? `${type}?` : nullable ? type : `${type}${notNull}`;
}

const notNull = " not null";

function below(path: string, { members, items }: TypeNode): OntologyField[] {
  return members.flatMap(({ name, node, nullable }) => {
    const at = `${path}${items}.${name}`;
    return [{ path: at, type: node.text, optional: false, nullable }, ...below(at, node)];
  });
}

/** Reads from the front; undefined wherever the text is not what it has to be. */
class TypeReader {
  #rest: string;

  constructor(text: string) {
    this.#rest = text;
  }

  get ended(): boolean {
    return this.#rest === "";
  }

  type(depth: number): TypeNode | undefined {
    if (depth > ontologyTypeMax.depth) return undefined;
    const simple = this.#take(plain);
    if (simple !== undefined) return { text: simple, members: [], items: "" };
    const head = this.#take(list);
    if (head !== undefined) return this.#list(head, depth);
    if (this.#take(/^struct</) !== undefined) return this.#struct(depth);
    // Its fields stand beside it.
    if (this.#take(/^struct\b/) !== undefined) return { text: "struct", members: [], items: "" };
    return this.#take(/^map</) === undefined ? undefined : this.#map(depth);
  }

  #list(head: string, depth: number): TypeNode | undefined {
    const item = this.#member(depth);
    if (item === undefined || this.#take(/^>/) === undefined) return undefined;
    const size = head.startsWith("fixed") ? this.#take(/^\[[0-9]{1,9}\]/) : "";
    if (size === undefined) return undefined;
    const { node, name, nullable } = item;
    const isOpened = node.members.length > 0;
    const text = `${head}${name}: ${node.text}${nullable || isOpened ? "" : notNull}>${size}`;
    return { text, members: node.members, items: isOpened ? `[]${node.items}` : "" };
  }

  #struct(depth: number): TypeNode | undefined {
    const members: Member[] = [];
    do {
      const member = this.#member(depth);
      if (member === undefined) return undefined;
      members.push(member);
    } while (this.#take(/^, /) !== undefined);
    return this.#take(/^>/) === undefined ? undefined : { text: "struct", members, items: "" };
  }

  /** What is in a map is compared as a whole: `whole` has it. */
  #map(depth: number): TypeNode | undefined {
    const key = this.type(depth + 1);
    if (key === undefined || this.#take(/^, /) === undefined) return undefined;
    const value = this.type(depth + 1);
    if (value === undefined || this.#take(/^>/) === undefined) return undefined;
    const text = `map<${whole(key)}, ${whole(value)}>`;
    return /struct(?!<)/.test(text) ? undefined : { text, members: [], items: "" };
  }

  #member(depth: number): Member | undefined {
    const name = this.#take(/^[^:<>,]{1,256}(?=: )/);
    if (name === undefined || this.#take(/^: /) === undefined) return undefined;
    const node = this.type(depth + 1);
    if (node === undefined) return undefined;
    return { name, node, nullable: this.#take(/^ not null/) === undefined };
  }

  #take(pattern: RegExp): string | undefined {
    const taken = pattern.exec(this.#rest)?.[0];
    if (taken !== undefined) this.#rest = this.#rest.slice(taken.length);
    return taken;
  }
}

function whole({ text, members }: TypeNode): string {
  if (members.length === 0) return text;
  const inside = members.map(({ name, node, nullable }) => `${name}: ${whole(node)}${nullable ? "" : notNull}`);
  return text.replace("struct", `struct<${inside.join(", ")}>`);
}
