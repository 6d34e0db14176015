// Writes the decompressed bytes of a file to standard output, as Node reads it.
//
// lines.js FILE stream|whole
const fs = require("fs");
const zlib = require("zlib");

const [file, how] = process.argv.slice(2);
if (how === "stream") {
  fs.createReadStream(file).pipe(zlib.createGunzip()).pipe(process.stdout);
} else {
  process.stdout.write(zlib.gunzipSync(fs.readFileSync(file)));
}
