package router

import "net/http"

// code is one of Heroku's router codes; none means that all went well.
type code uint8

const (
	none code = iota
	h10
	h11
	h12
	h13
	h14
	h15
	h17
	h18
	h19
	h20
	h21
	h24
	h25
	h26
	h26expect
	h26connect
	h27
	h28
	h80
	h81
	h99
)

// statusClientGone is nginx's and Heroku's mark for a client that left.
const statusClientGone = 499

// notice is how a code looks in the log and what the client gets.
type notice struct {
	name   string
	desc   string
	status int
	at     string // level in the log line
	sock   string // side that broke off, "" if it is not told
}

// notice is a function and not a map, so that nothing can change it.
func (c code) notice() notice {
	const unavailable = http.StatusServiceUnavailable
	switch c {
	case h10:
		return notice{"H10", "App crashed", unavailable, "error", ""}
	case h11:
		return notice{"H11", "Backlog too deep", unavailable, "error", ""}
	case h12:
		return notice{"H12", "Request timeout", unavailable, "error", ""}
	case h13:
		return notice{"H13", "Connection closed without response", unavailable, "error", ""}
	case h14:
		return notice{"H14", "No web processes running", unavailable, "error", ""}
	case h15:
		return notice{"H15", "Idle connection", unavailable, "error", ""}
	case h17:
		return notice{"H17", "Poorly formatted HTTP response", unavailable, "error", ""}
	case h18:
		return notice{"H18", "Server Request Interrupted", unavailable, "error", "backend"}
	case h19:
		return notice{"H19", "Backend connection timeout", unavailable, "error", ""}
	case h20:
		return notice{"H20", "App boot timeout", unavailable, "error", ""}
	case h21:
		return notice{"H21", "Backend connection refused", unavailable, "error", ""}
	case h24:
		return notice{"H24", "Forced close", unavailable, "error", ""}
	case h25:
		return notice{"H25", "HTTP Restriction", http.StatusBadGateway, "error", ""}
	case h26:
		return notice{"H26", "Request Error", http.StatusBadRequest, "error", ""}
	case h26expect:
		return notice{"H26", "Request Error", http.StatusExpectationFailed, "error", ""}
	case h26connect:
		return notice{"H26", "Request Error", http.StatusMethodNotAllowed, "error", ""}
	case h27:
		return notice{"H27", "Client Request Interrupted", statusClientGone, "warning", "client"}
	case h28:
		return notice{"H28", "Client Connection Idle", statusClientGone, "warning", ""}
	case h80:
		return notice{"H80", "Maintenance mode", unavailable, "info", ""}
	case h81:
		return notice{"H81", "Blank app", http.StatusBadGateway, "info", ""}
	default:
		return notice{"H99", "Platform error", unavailable, "error", ""}
	}
}
