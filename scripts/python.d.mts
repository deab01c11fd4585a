export const sdkVersions: readonly string[];
export const environmentNames: readonly string[];
export function pythonOf(name: string): string;
export function ensureEnvironments(): Promise<void>;
export function ensureRecordings(): Promise<string>;
