/** lz4js has no types of its own: LZ4 frame format, both ways. */
declare module "lz4js" {
  const lz4: {
    compress(bytes: Uint8Array, bytesMax?: number): Uint8Array;
  };
  // biome-ignore lint/style/noDefaultExport: it is what the package has.
  export default lz4;
}
