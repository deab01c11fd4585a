/** The version of this program; the build puts it in. */

declare const MOSAICO_EDGE_VERSION: string | undefined;

export const edgeVersion: string = typeof MOSAICO_EDGE_VERSION === "string" ? MOSAICO_EDGE_VERSION : "0.0.0-source";
