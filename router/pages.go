package router

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strconv"
)

//go:embed pages/*.html
var pageFiles embed.FS

// pages are what the router itself answers with: small, without a script, an
// image or a request to elsewhere.
type pages struct{ t *template.Template }

func newPages() pages {
	return pages{template.Must(template.ParseFS(pageFiles, "pages/*.html"))}
}

// pageData is what a page may tell.
type pageData struct {
	Title   string
	Text    string
	App     string
	Code    string
	Request string
}

// page writes one of the router's own answers.
func (p pages) write(w http.ResponseWriter, status int, name string, d pageData) {
	var body bytes.Buffer
	if err := p.t.ExecuteTemplate(&body, name, d); err != nil {
		body.Reset()
		body.WriteString(d.Title)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-cache, no-store")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	w.Write(body.Bytes()) // the client may be gone, which is its business
}

// pageOf chooses the page for a code.
func pageOf(c code) (name, title, text string) {
	switch c {
	case h80:
		return "notice.html", "Offline for maintenance", "This application is undergoing maintenance right now. Please check back later."
	case h81:
		return "blank.html", "There's nothing here yet", ""
	case h11, h20:
		return "failure.html", "Application busy", "The application cannot take this request right now. Please try again in a few moments."
	case h26:
		return "notice.html", "Bad request", "This request is malformed, or its request line or headers are too large."
	case h26expect:
		return "notice.html", "Expectation failed", "The only expectation that can be met is 100-continue."
	case h26connect:
		return "notice.html", "Method not allowed", "CONNECT is not supported."
	case h24, h99:
		return "notice.html", "Platform error", "The platform could not serve this request. Please try again in a few moments."
	default:
		return "failure.html", "Application error", "An error occurred in the application and your page could not be served. Please try again in a few moments."
	}
}
