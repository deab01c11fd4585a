/** What an API key may do: bits, so that 0.4's nested levels and 0.6's free combinations are one thing. */

import { Fault } from "./fault.ts";

export const permissionBit = { read: 1, write: 2, delete: 4, manage: 8 } as const;
export type Permission = keyof typeof permissionBit;
export type PermissionBits = number & { readonly __brand: "PermissionBits" };

export const allPermissions = 15 as PermissionBits;

const isPermission = (word: string): word is Permission => Object.hasOwn(permissionBit, word);

/**
 * Parses `read`, `write`, `delete`, `manage` or several joined by `|`. A single word means itself and everything below it
 * (as in 0.4), several words mean exactly these bits (as in 0.6).
 * @throws Fault invalid
 */
export function parsePermissions(text: string, exactness: "hierarchy" | "exact" = "hierarchy"): PermissionBits {
  const words = text.split("|").map((word) => word.trim());
  let bits = 0;
  for (const word of words) {
    if (!isPermission(word)) {
      throw new Fault(
        "invalid",
        `Bad request: invalid string to permission cast: ${JSON.stringify(text.slice(0, 100))}, expected read, write, delete or manage, or several joined by |.`,
      );
    }
    bits |= permissionBit[word];
  }
  if (words.length === 1 && exactness === "hierarchy") bits = bits * 2 - 1;
  return bits as PermissionBits;
}

export function allows(bits: PermissionBits, permission: Permission): boolean {
  return (bits & permissionBit[permission]) !== 0;
}

export function permissionWords(bits: PermissionBits): string {
  return Object.entries(permissionBit)
    .filter(([, bit]) => (bits & bit) !== 0)
    .map(([word]) => word)
    .join("|");
}
