/** What stands between uploads and the disk: asked before bytes and rows are written. */

/** Says whether bytes may be written; what it returns is disposed when they are in a file. */
export interface SpaceGate {
  /**
   * At once when there is room now, else when some has been made.
   * @throws Fault overloaded when the disk is too full
   */
  admit(bytes: number): Disposable | Promise<Disposable>;
  /**
   * As `admit` for rows of the catalog; what it returns is disposed when their commit has ended.
   * @throws Fault overloaded when the disk is so full that the catalog needs its room for what makes some
   */
  admitRow(bytes: number): Disposable;
}
