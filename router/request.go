package router

import (
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Heroku's limits for requests (H26).
const (
	maxRequestLine = 8192
	maxHeaderLine  = 8192
	maxHeaderName  = 1000
	maxHeaders     = 1000
	maxMethod      = 127
)

// via is how the router names itself in Via headers.
const via = " paas"

// encodeHead builds the request's head as a dyno gets it, once for all
// attempts: the request target byte for byte, no header that the client did
// not send but those of the router.
func (c *call) encodeHead() code {
	req := c.req
	c.rec.id = requestID(req.Header["X-Request-Id"])
	c.rec.fwd = forwardedFor(req)
	if req.Method == http.MethodConnect {
		return h26connect
	}
	target, ok := requestTarget(req)
	if !ok || len(req.Method) > maxMethod || len(req.Method)+len(req.RequestURI)+len(" HTTP/1.1")+1 > maxRequestLine {
		return h26
	}
	if e := req.Header["Expect"]; len(e) > 0 && (len(e) > 1 || !strings.EqualFold(e[0], "100-continue")) {
		return h26expect
	}
	c.upgrade = wantedUpgrade(req)
	listed := listedByConnection(req.Header["Connection"])

	b := c.head[:0]
	b = append(append(append(append(b, req.Method...), ' '), target...), " HTTP/1.1\r\n"...)
	b = appendHeader(b, "Host", req.Host)
	count := 0
	for name, values := range req.Header {
		if count += len(values); count > maxHeaders || len(name) > maxHeaderName {
			return h26
		}
		forward := !ownHeader(name) && !slices.Contains(listed, name)
		for _, v := range values {
			if len(name)+len(v)+len(": ") > maxHeaderLine {
				return h26
			}
			if forward {
				b = appendHeader(b, name, v)
			}
		}
	}
	switch {
	case len(req.TransferEncoding) > 0 || req.ContentLength < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case req.ContentLength > 0 || len(req.Header["Content-Length"]) > 0:
		b = strconv.AppendInt(append(b, "Content-Length: "...), req.ContentLength, 10)
		b = append(b, "\r\n"...)
	}
	for name := range req.Trailer {
		if passTrailer(name, "") {
			b = appendHeader(b, "Trailer", name)
		}
	}
	if httpguts.HeaderValuesContainsToken(req.Header["Te"], "trailers") {
		b = append(b, "Te: trailers\r\n"...)
	}
	if c.upgrade != "" {
		b = appendHeader(append(b, "Connection: Upgrade\r\n"...), "Upgrade", c.upgrade)
	}
	b = appendHeader(b, "X-Request-Id", c.rec.id)
	b = appendHeader(b, "X-Forwarded-For", c.rec.fwd)
	b = appendHeader(b, "X-Forwarded-Proto", c.rec.protocol)
	b = append(append(append(b, "X-Forwarded-Port: "...), localPort(req)...), "\r\n"...)
	b = strconv.AppendInt(append(b, "X-Request-Start: "...), c.r.now().UnixMilli(), 10)
	b = append(b, "\r\nVia: "...)
	for _, v := range req.Header["Via"] {
		b = append(append(b, v...), ", "...)
	}
	b = strconv.AppendInt(b, int64(req.ProtoMajor), 10)
	b = strconv.AppendInt(append(b, '.'), int64(req.ProtoMinor), 10)
	b = append(append(b, via...), "\r\n\r\n"...)
	c.head, c.headLen = b, len(b)
	return none
}

func appendHeader(b []byte, name, value string) []byte {
	return append(append(append(append(b, name...), ": "...), value...), "\r\n"...)
}

// requestTarget is the target in origin form, otherwise untouched. net/http
// has parsed it, but hands out only a cleaned copy besides the original.
func requestTarget(req *http.Request) (string, bool) {
	s := req.RequestURI
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] == 0x7f {
			return "", false
		}
	}
	if strings.HasPrefix(s, "/") || s == "*" && req.Method == http.MethodOptions {
		return s, req.URL.Host == ""
	}
	// Absolute form: "http://host/path"; its host is Host (RFC 9112, 3.2.2).
	_, rest, ok := strings.Cut(s, "://")
	if !ok || req.URL.Host == "" || !httpguts.ValidHostHeader(req.Host) {
		return "", false
	}
	i := strings.IndexAny(rest, "/?")
	switch {
	case i < 0 && req.Method == http.MethodOptions:
		return "*", true
	case i < 0:
		return "/", true
	case rest[i] == '?':
		return "/" + rest[i:], true
	default:
		return rest[i:], true
	}
}

// ownHeader tells which headers of a client are not passed on: those that are
// between it and the router, and those that the router writes.
func ownHeader(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings",
		"Expect", "Content-Length", "Host",
		"Proxy", // becomes the variable HTTP_PROXY in CGI programs
		"X-Request-Id", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Request-Start", "Via":
		return true
	}
	// In many frameworks "X_Forwarded_For" and "X-Forwarded-For" are one
	// variable: a client must not be able to speak for the router.
	return strings.IndexByte(name, '_') >= 0 && ownHeader(http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-")))
}

// listedByConnection are further headers that are for the next hop only, in
// canonical form.
func listedByConnection(values []string) []string {
	var names []string
	for _, v := range values {
		for token := range strings.SplitSeq(v, ",") {
			switch token = http.CanonicalHeaderKey(strings.Trim(token, " \t")); token {
			case "", "Close", "Keep-Alive", "Upgrade", "Te":
			default:
				names = append(names, token)
			}
		}
	}
	return names
}

// wantedUpgrade is the protocol to switch to, "" for none. HTTP/2 is not
// passed on: its requests would go past everything the router does. Nor is an
// upgrade of a request with a body.
func wantedUpgrade(req *http.Request) string {
	values := req.Header["Upgrade"]
	if len(values) == 0 || req.ProtoMajor != 1 || req.ProtoMinor < 1 || req.ContentLength != 0 ||
		!clientWants(req, "upgrade") || httpguts.HeaderValuesContainsToken(values, "h2c") {
		return ""
	}
	return strings.Join(values, ", ")
}

// forwardedFor is the chain of client addresses, the nearest last.
func forwardedFor(req *http.Request) string {
	ip, _, err := net.SplitHostPort(req.RemoteAddr)
	if err != nil {
		ip = req.RemoteAddr
	}
	ip, _, _ = strings.Cut(ip, "%")
	sent := req.Header["X-Forwarded-For"]
	if len(sent) == 0 {
		return ip
	}
	return strings.Join(sent, ",") + "," + ip
}

// localPort is the port the client connected to.
func localPort(req *http.Request) string {
	if a, ok := req.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		switch a.Port {
		case 80:
			return "80"
		case 443:
			return "443"
		}
		return strconv.Itoa(a.Port)
	}
	if req.TLS != nil {
		return "443"
	}
	return "80"
}

// replayable says that the request may be sent again after a dyno may have
// acted on it (RFC 9110, 9.2.2).
func (c *call) replayable() bool {
	if c.hasBody && !c.inline {
		return false
	}
	switch c.req.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return c.upgrade == ""
	}
	return false
}

// keptFor is how long a kept connection may have been unused for this request.
func (c *call) keptFor() time.Duration {
	switch {
	case c.fresh:
		return 0
	case c.replayable():
		return c.r.limits.KeepIdle
	default:
		// The dyno may be closing it just now, and then the request would be
		// lost. The longer unused, the likelier.
		return c.r.limits.KeepUnsafe
	}
}
