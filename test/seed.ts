/** All random values of the tests derive from it; MOSAICO_TEST_SEED gives another one. */
export const seed = Number(process.env["MOSAICO_TEST_SEED"] ?? 20_261_124);
