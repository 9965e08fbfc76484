// Package router is the HTTP edge: it maps hosts to apps and hands each request
// to one of the app's web dynos.
//
// # Design
//
// What is routed where is an immutable Table; Publish swaps it in one step and
// readers never lock. What must survive a swap (connections, counters, health)
// hangs on a target, and a target is a dyno, never an address.
//
// Invariants:
//
//   - Claim, then send. A request counts itself on a target by the same atomic
//     word in which Drain and Publish shut the target, so none can be sent to a
//     dyno after Drain for it returned without its context having ended.
//   - A request reaches a dyno of the app that owns its host or none. Pooled
//     connections belong to one dyno. A request that was claimed but not yet
//     sent when its dyno left the table (or its drain hit the deadline) does not
//     dial: the address may have a new owner. This holds if Drain, or a table
//     without the dyno, comes before the dyno's address is given away.
//   - A request is sent a second time only if no dyno can have acted on it: the
//     dial failed, or the head was not written in full; or if it is idempotent,
//     its body is none or still in memory, and a kept-alive connection died
//     before the first byte of an answer.
//   - An app that should be serving and has no usable dyno makes requests wait
//     (a deploy, a restart, a boot), bounded in number and time.
//   - At rest there is no work: the timers (idle connections, probes) are armed
//     by traffic or by a failed dyno, and let themselves run out. A probe is one
//     TCP connect, and is left out when the dyno has just answered a request.
//
// The client's side is net/http's server, which is strict about framing. The
// dyno's side is our own client: it writes the request target byte for byte as
// it was received, adds nothing the client did not send, runs in the handler's
// goroutine, and knows which error is whose, which http.Transport does not
// tell. Both sides speak HTTP/1.1.
//
// Error codes, limits and headers are Heroku's (H10 to H99).
package router
