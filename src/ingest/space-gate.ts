/** What stands between uploads and the disk: asked before bytes and rows are written. */

/** Says whether bytes may be written; what it returns is disposed when they are in a file. */
export interface SpaceGate {
  /** Ends when there is room for so many bytes, or cannot be made; undefined when there is room now. */
  waitForRoom(bytes: number): Promise<void> | undefined;
  /** @throws Fault overloaded when the disk is too full */
  admit(bytes: number): Disposable;
  /**
   * As `admit` for rows of the catalog; what it returns is disposed when their commit has ended.
   * @throws Fault overloaded when the disk is so full that the catalog needs its room for what makes some
   */
  admitRow(bytes: number): Disposable;
}
