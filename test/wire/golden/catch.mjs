// Prints its port, then the gRPC messages of the first call that ends, in hex, one a line. See make.py.
import http2 from "node:http2";

const server = http2.createServer();
server.on("stream", (stream) => {
  const { session } = stream;
  const pieces = [];
  stream.on("data", (piece) => pieces.push(piece));
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.on("end", () => {
    const bytes = Buffer.concat(pieces);
    for (let at = 0; at < bytes.length; ) {
      const next = at + 5 + bytes.readUInt32BE(at + 1);
      console.log(bytes.subarray(at, next).toString("hex"));
      at = next;
    }
    stream.end();
  });
  stream.on("close", () => {
    session.close();
    server.close();
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
