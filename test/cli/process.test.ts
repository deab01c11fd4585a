// The program as a process, where settings or the data directory are not as they should be: what it says, how it ends, and
// what it leaves.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { FlightClient } from "../load/flight-client.ts";
import { record } from "../round-trip.ts";
import { tokenOf } from "../serve/tokens.ts";
import { createKey, runToEnd, startServer } from "../server.ts";

const folder = mkdtempSync(path.join(tmpdir(), "mosaico-edge-process-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const isRoot = process.getuid?.() === 0;
const nobody = 65_534;
const run = (dataDir: string, ...args: readonly string[]) =>
  runToEnd(["run", "--port", "0", "--data-dir", dataDir, ...args]);

describe("a data directory that cannot be one", () => {
  const file = path.join(folder, "file");
  writeFileSync(file, "");
  test.each([
    ["/proc/nowhere", 69, "Cannot create the data directory /proc/nowhere: /proc takes no new directories (ENOENT)"],
    [
      "/proc/nowhere/deep",
      69,
      "Cannot create the data directory /proc/nowhere/deep: /proc takes no new directories (ENOENT)",
    ],
    [file, 73, `${file} is there and is no directory`],
    [path.join(file, "below"), 73, `${file} is there and is no directory`],
    [path.join(folder, "n".repeat(300)), 64, "ENAMETOOLONG"],
  ])("%s", async (dataDir, code, sentence) => {
    for (const ended of [await run(dataDir), await runToEnd(["key", "create", "-p", "read", "--data-dir", dataDir])]) {
      expect(ended.stderr).toContain(sentence);
      expect(ended.code).toBe(code);
    }
  });
});

describe("keys of a directory that is no store", () => {
  const empty = path.join(folder, "empty");
  mkdirSync(empty);
  const missing = path.join(folder, "missing");
  test.each([
    [["key", "list", "--data-dir", missing], missing],
    [["key", "revoke", "0f3a91c2", "--data-dir", missing], missing],
    [["key", "list", "--data-dir", empty], empty],
    [["key", "revoke", "0f3a91c2", "--data-dir", empty], empty],
  ])("%j", async (args, named) => {
    const { code, stderr } = await runToEnd(args);
    expect(stderr).toContain(named);
    expect(code).toBe(66);
    expect(existsSync(missing)).toBe(false);
    expect(readdirSync(empty)).toEqual([]);
  });

  test("may be created before the first start, and are found then", async () => {
    const dataDir = path.join(folder, "keys");
    const token = await createKey(dataDir, "read");
    const { stdout } = await runToEnd(["key", "list", "--data-dir", dataDir]);
    expect(JSON.parse(stdout)).toMatchObject({ fingerprint: token.slice(-8) });
  });
});

test.runIf(isRoot)("nobody but the owner of the directory does anything in it", async () => {
  const dataDir = path.join(folder, "of-nobody");
  mkdirSync(dataDir);
  chownSync(dataDir, nobody, nobody);
  const verbs = [
    ["run", "--port", "0"],
    ["key", "create", "-p", "read"],
    ["key", "list"],
    ["key", "revoke", "0f3a91c2"],
  ];
  for (const verb of verbs) {
    const { code, stderr } = await runToEnd([...verb, "--data-dir", dataDir]);
    expect(stderr).toContain(`${dataDir} belongs to user ${nobody}, this process runs as user 0`);
    expect(code).toBe(77);
  }
  expect(readdirSync(dataDir)).toEqual([]);
});

test("what comes into being is for its owner alone, whatever the umask was", async () => {
  const before = process.umask(0o022);
  try {
    await using server = await startServer({ dataDir: path.join(folder, "private") });
    await record(server.port, "private");
    const open = readdirSync(server.dataDir, { recursive: true, encoding: "utf8" }).filter(
      (name) => (statSync(path.join(server.dataDir, name)).mode & 0o077) !== 0,
    );
    expect(open).toEqual([]);
    expect(existsSync(path.join(server.dataDir, "catalog/data.mdb"))).toBe(true);
    await server.stop();
  } finally {
    process.umask(before);
  }
});

describe("store.json", () => {
  test.each([
    ["", "found nothing"],
    ["{", 'found "{"'],
    ["[]", 'found "[]"'],
    ['{"format":"1","id":"a"}', String.raw`found "{\"format\":\"1\",\"id\":\"a\"}"`],
    ['{"format":1.5,"id":"a"}', "found"],
    ['{"format":1}', "found"],
  ])("%j is told with its file, what was expected and what was found", async (text, found) => {
    const dataDir = path.join(folder, "document");
    mkdirSync(dataDir, { recursive: true });
    writeFileSync(path.join(dataDir, "store.json"), text);
    const { code, stderr } = await run(dataDir);
    expect(stderr).toContain(
      `${dataDir}/store.json: expected JSON with a whole number "format" and a text "id", ${found}`,
    );
    expect(code).toBe(65);
  });
});

describe("variables", () => {
  const dataDir = path.join(folder, "variables");
  test("one with our beginning that is no setting is refused, naming those that are", async () => {
    const { code, stderr } = await runToEnd(["run", "--data-dir", dataDir], { MOSAICO_EDGE_PROT: "secret" });
    expect(stderr).toMatch(/unknown variable MOSAICO_EDGE_PROT, expected .*MOSAICO_EDGE_PORT.*MOSAICO_EDGE_CONFIG/);
    expect(stderr).not.toContain("secret");
    expect(code).toBe(64);
  });

  const token = tokenOf("a".repeat(32));
  const toml = path.join(folder, "token.toml");
  const broken = path.join(folder, "broken.toml");
  writeFileSync(toml, `api_key = "${token}"\n`);
  writeFileSync(broken, `api_key = ${token}\n`);
  test.each<[string, readonly string[], Readonly<Record<string, string>>]>([
    ["as a variable", ["run"], { MOSAICO_EDGE_API_KEY: token }],
    ["as a flag's value", ["run", `--api-key=${token}`], {}],
    ["behind a flag", ["run", "--api-key", token], {}],
    ["in the file", ["run", "--config", toml], {}],
    ["in a broken file", ["run", "--config", broken], {}],
    ["in the place of another setting", ["run", "--port", token], {}],
  ])("a token %s is refused and not repeated", async (_where, args, env) => {
    const { code, stdout, stderr } = await runToEnd([...args, "--data-dir", dataDir], env);
    expect(code).toBe(64);
    expect(stderr).not.toBe("");
    expect(stdout + stderr).not.toContain("a".repeat(32));
  });

  test("a long value of a switch is not repeated either", async () => {
    const { code, stderr } = await runToEnd(["run", "--data-dir", dataDir], { MOSAICO_EDGE_API_KEY: "hunter2hunter2" });
    expect(stderr).toContain("MOSAICO_EDGE_API_KEY: expected true or false, found a text of 14 characters");
    expect(code).toBe(64);
  });
});

describe("a switch that a variable has set is unset by a flag", () => {
  test("--no-api-key", async () => {
    await using server = await startServer({ args: ["--no-api-key"], env: { MOSAICO_EDGE_API_KEY: "true" } });
    using client = new FlightClient(server.port);
    await client.action("info", {});
    await server.stop();
  });
  test("--no-insecure", async () => {
    const args = [
      "run",
      "--data-dir",
      path.join(folder, "insecure"),
      "--host",
      "0.0.0.0",
      "--port",
      "0",
      "--no-insecure",
    ];
    const { code, stderr } = await runToEnd(args, { MOSAICO_EDGE_INSECURE: "true" });
    expect(stderr).toContain("host is 0.0.0.0: without API keys");
    expect(code).toBe(64);
  });
});

test("control sockets of dead owners go at the next start, and nothing else does", async () => {
  const dataDir = path.join(folder, "sockets");
  await (await startServer({ dataDir })).stop();
  const dead = path.join(dataDir, "control-01ARZ3NDEKTSV4RRFFQ69G5FAV.sock");
  const living = path.join(dataDir, "control-01BX5ZZKBKACTAV9WEVGEMMVRZ.sock");
  const others = [
    "control-notes.sock",
    "control-01ARZ3NDEKTSV4RRFFQ69G5FAV.sock.old",
    "my-control-01ARZ3NDEKTSV4RRFFQ69G5FAV.sock",
  ];
  for (const name of others) writeFileSync(path.join(dataDir, name), "");
  const listen = 'require("node:net").createServer().listen(process.argv[1], () => console.log("listening"))';
  const owner = spawn(process.execPath, ["-e", listen, dead], { stdio: ["ignore", "pipe", "inherit"] });
  await once(owner.stdout, "data");
  owner.kill("SIGKILL");
  await once(owner, "exit");
  expect(existsSync(dead)).toBe(true);
  const socket = createServer((connection) => connection.end("alive\n")).listen(living);
  await once(socket, "listening");
  try {
    await using server = await startServer({ dataDir });
    expect(existsSync(dead)).toBe(false);
    for (const name of [...others, path.basename(living)]) expect(readdirSync(dataDir)).toContain(name);
    await server.stop();
  } finally {
    socket.close();
  }
});

describe("commands beside run find the data directory where run does", () => {
  const dataDir = path.join(folder, "configured");
  const toml = path.join(folder, "configured.toml");
  // Settings that only run can use do not keep the others from their work.
  writeFileSync(toml, `data_dir = ${JSON.stringify(dataDir)}\nhost = "0.0.0.0"\n`);
  const nowhere = path.join(folder, "elsewhere");
  const commands = [["verify"], ["repair"], ["rebuild", "--replace"], ["key", "list"], ["status"]];
  test.each(commands)("%s %s", { timeout: 30_000 }, async (...words) => {
    const args = words.filter((word) => word !== undefined);
    if (!existsSync(dataDir)) await (await startServer({ dataDir })).stop();
    const codes = [0, 69];
    const variable = await runToEnd(args, { MOSAICO_EDGE_DATA_DIR: dataDir });
    expect(codes, variable.stderr).toContain(variable.code);
    const file = await runToEnd([...args, "--config", toml]);
    expect(codes, file.stderr).toContain(file.code);
    const named = await runToEnd(args, { MOSAICO_EDGE_CONFIG: toml });
    expect(codes, named.stderr).toContain(named.code);
    // A flag goes before all of them.
    const flag = await runToEnd([...args, "--data-dir", nowhere], { MOSAICO_EDGE_DATA_DIR: dataDir });
    expect(flag.code).toBe(66);
    expect(flag.stderr).toContain(nowhere);
    const misspelt = await runToEnd(args, { MOSAICO_EDGE_DATADIR: dataDir });
    expect(misspelt.code).toBe(64);
  });
});

test("a port that is in use is one line", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  try {
    const args = ["run", "--port", String(port), "--data-dir", path.join(folder, "port")];
    const { code, stderr } = await runToEnd(args);
    expect(stderr).toBe(
      `mosaico-edge: Cannot listen on 127.0.0.1:${port}: the address is in use (EADDRINUSE); another server may run there, --port takes another one\n`,
    );
    expect(code).toBe(69);
  } finally {
    other.close();
  }
});

test("classes of sessions that cannot be read are told with what is expected and what was found", async () => {
  const { code, stderr } = await runToEnd(["run", "--retention-class", "x"]);
  expect(stderr).toContain(
    '--retention-class: expected JSON like [{"name":"crash","sequence":"crash-*","keep":true}], found "x"',
  );
  expect(code).toBe(64);
});

test("a server that stands still for some seconds, as disks let it, is waited for", { timeout: 30_000 }, async () => {
  await using server = await startServer({ dataDir: path.join(folder, "stands") });
  process.kill(server.pid, "SIGSTOP");
  setTimeout(() => process.kill(server.pid, "SIGCONT"), 6_000);
  expect(await runToEnd(["status", "--data-dir", server.dataDir, "--json"])).toMatchObject({ code: 0, stderr: "" });
  await server.stop();
});
