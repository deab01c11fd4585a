// Addresses of other Mosaicos as people write them.

import { describe, expect, test } from "vitest";
import { parseRemoteUrl } from "../../src/model/remote-url.ts";

describe("addresses that are taken", () => {
  test.each([
    ["grpc://127.0.0.1:6000", { text: "grpc://127.0.0.1:6000", tls: false, host: "127.0.0.1", port: 6000 }],
    ["grpc://centre", { text: "grpc://centre:6726", tls: false, host: "centre", port: 6726 }],
    [
      "grpc+tls://centre.example/",
      { text: "grpc+tls://centre.example:6726", tls: true, host: "centre.example", port: 6726 },
    ],
    ["grpcs://centre:1", { text: "grpc+tls://centre:1", tls: true, host: "centre", port: 1 }],
    [" grpc://[::1]:65535 ", { text: "grpc://[::1]:65535", tls: false, host: "[::1]", port: 65_535 }],
  ])("%s", (given, expected) => {
    expect(parseRemoteUrl(given)).toEqual(expected);
  });
});

describe("others are refused, showing what was found", () => {
  test.each([
    "",
    "centre",
    "http://centre",
    "grpc://",
    "grpc://a b",
    "grpc://centre:0",
    "grpc://centre:65536",
    "grpc://centre:x",
    "grpc://user@centre",
    "grpc://centre/path",
    "grpc://::1",
  ])("%j", (given) => {
    expect(() => parseRemoteUrl(given)).toThrow(`found ${JSON.stringify(given)}`);
  });
});
