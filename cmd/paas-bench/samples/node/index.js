// Answers every request with its version: the smallest app in Node.js.
const http = require("http");

const version = "v1";
const port = process.env.PORT || 5000;

const server = http.createServer((request, response) => {
  response.end(`Hello from Node.js, ${version}\n`);
});
server.listen(port, () => console.log(`listening on port ${port}`));
process.on("SIGTERM", () => server.close(() => process.exit(0)));
