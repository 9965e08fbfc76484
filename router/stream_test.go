package router

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// Each part reaches the client before the next one is written.
func TestStreamedResponses(t *testing.T) {
	e := newEdge(t, Options{})
	for name, framing := range map[string]string{
		"chunked":  "Transfer-Encoding: chunked\r\n",
		"length":   "Content-Length: 24\r\n",
		"large":    "Content-Length: 1000024\r\n",
		"to close": "Connection: close\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			next := make(chan bool)
			e.publish(rawDyno(t, "web.1", func(c net.Conn, br *bufio.Reader) {
				readHeadOf(br)
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"+framing+"\r\n")
				for i := range 3 {
					if _, ok := <-next; !ok {
						return
					}
					part := fmt.Sprintf("data: %d\n", i)
					if name == "chunked" {
						part = fmt.Sprintf("%x\r\n%s\r\n", len(part), part)
					}
					io.WriteString(c, part)
				}
				<-next
			}))
			defer close(next)
			c := e.dial().send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")
			resp, err := http.ReadResponse(c.br, nil)
			if err != nil {
				t.Fatal(err)
			}
			body := bufio.NewReader(resp.Body)
			for i := range 3 {
				next <- true
				if line, err := body.ReadString('\n'); line != fmt.Sprintf("data: %d\n", i) {
					t.Fatalf("got %q, %v", line, err)
				}
			}
		})
	}
}

// A chunk that ends at a packet's end, or in its middle, goes on at once.
func TestChunksInPieces(t *testing.T) {
	e := newEdge(t, Options{})
	next := make(chan bool)
	e.publish(rawDyno(t, "web.1", func(c net.Conn, br *bufio.Reader) {
		readHeadOf(br)
		for _, piece := range []string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello", "\r\n5\r\nhello\r", "\n5\r\nhello\r\n5", "\r\nhello", "\r\n0\r\n\r\n"} {
			<-next
			io.WriteString(c, piece)
		}
	}))
	c := e.dial().send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")
	next <- true
	resp, err := http.ReadResponse(c.br, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if i > 0 {
			next <- true
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
	}
	next <- true
	if n, err := io.Copy(io.Discard, resp.Body); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// Both directions at once: the dyno echoes each part before the next is sent.
func TestFullDuplex(t *testing.T) {
	e := newEdge(t, Options{})
	e.publish(rawDyno(t, "web.1", func(c net.Conn, br *bufio.Reader) {
		if _, err := readHeadOf(br); err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		in, out := httputil.NewChunkedReader(br), httputil.NewChunkedWriter(c)
		io.Copy(out, in)
		out.Close()
		io.WriteString(c, "\r\n")
	}))
	c := e.dial().send("POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n")
	resp, err := http.ReadResponse(c.br, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		part := fmt.Sprintf("part %2d", i)
		c.send("%x\r\n%s\r\n", len(part), part)
		got := make([]byte, len(part))
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != part {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	c.send("0\r\n\r\n")
	if rest, err := io.ReadAll(resp.Body); len(rest) != 0 || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
	e.log("status=200 ")
}

// One direction's progress keeps the other one alive.
func TestOneSidedProgress(t *testing.T) {
	t.Parallel()
	limits := Limits{Idle: 500 * time.Millisecond}
	for name, run := range map[string]func(c net.Conn, br *bufio.Reader){
		"download": func(c net.Conn, br *bufio.Reader) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
			for range 10 {
				time.Sleep(75 * time.Millisecond) // the pace of a slow dyno
				io.WriteString(c, "x")
			}
		},
		"upload": func(c net.Conn, br *bufio.Reader) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
			io.Copy(io.Discard, httputil.NewChunkedReader(br))
			io.WriteString(c, "xxxxxxxxxx")
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, Options{Limits: limits})
			e.publish(rawDyno(t, "web.1", func(c net.Conn, br *bufio.Reader) {
				if _, err := readHeadOf(br); err == nil {
					run(c, br)
				}
			}))
			c := e.dial().send("POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
			if name == "upload" {
				for range 10 {
					time.Sleep(75 * time.Millisecond) // the pace of a slow client
					c.send("1\r\nx\r\n")
				}
				c.send("0\r\n\r\n")
			}
			resp, body := c.response("POST")
			if resp.StatusCode != 200 || body != "xxxxxxxxxx" {
				t.Errorf("%s %q", resp.Status, body)
			}
			e.log("at=info ", "status=200 ")
		})
	}
}

func TestInterimResponses(t *testing.T) {
	e := newEdge(t, Options{})
	e.publish(answers(t, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false))
	c := e.dial().send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")
	var got []string
	for range 3 {
		resp, _ := c.response("GET")
		got = append(got, fmt.Sprintf("%d %s%s", resp.StatusCode, resp.Header.Get("Link"), resp.Header.Get("X-Hop")))
	}
	if want := "[103 </a.css> 102  200 ]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	e.log("status=200 ")
	// A client of HTTP/1.0 would not understand.
	if resp, body := e.dial().send("GET / HTTP/1.0\r\nHost: app.test\r\n\r\n").response("GET"); resp.StatusCode != 200 || body != "ok" {
		t.Errorf("%s %q", resp.Status, body)
	}
}

func TestExpectContinue(t *testing.T) {
	e := newEdge(t, Options{})
	e.publish(dyno(t, "web.1", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Expect") != "" {
			t.Error("Expect reaches the dyno")
		}
		if r.URL.Path == "/no" {
			w.WriteHeader(413)
			return
		}
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%d", len(b))
	}))
	for _, n := range []int{5, 100000} {
		c := e.dial().send("POST / HTTP/1.1\r\nHost: app.test\r\nExpect: 100-Continue\r\nContent-Length: %d\r\n\r\n", n)
		if resp, _ := c.response("POST"); resp.StatusCode != 100 {
			t.Fatalf("%d: %s", n, resp.Status)
		}
		c.send("%s", strings.Repeat("x", n))
		if resp, body := c.response("POST"); resp.StatusCode != 200 || body != fmt.Sprint(n) {
			t.Errorf("%d: %s %q", n, resp.Status, body)
		}
		e.log("status=200 ")
	}
	// No 100 without a dyno to take the body.
	e.r.Publish(table(NoWeb))
	c := e.dial().send("POST / HTTP/1.1\r\nHost: app.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	if resp, _ := c.response("POST"); resp.StatusCode != 503 || !resp.Close {
		t.Errorf("%s, close %v", resp.Status, resp.Close)
	}
}

func TestTrailers(t *testing.T) {
	e := newEdge(t, Options{})
	e.publish(dyno(t, "web.1", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		n, _ := io.Copy(w, r.Body)
		if len(r.Trailer) != 1 {
			t.Errorf("trailers %v", r.Trailer)
		}
		w.Header().Set("X-Sum", fmt.Sprint(n, r.Trailer["X-Client"]))
		w.Header().Set(http.TrailerPrefix+"X-More", "unannounced")
	}))
	c := e.dial().send("POST / HTTP/1.1\r\nHost: app.test\r\nTe: trailers\r\nTrailer: X-Client, X-Forwarded-For\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Client: yes\r\nX-Forwarded-For: spoof\r\n\r\n")
	head, err := readHeadOf(c.br)
	if err != nil || !strings.Contains(head, "\r\nTrailer: X-Sum\r\n") {
		t.Fatalf("%q, %v", head, err)
	}
	body, err := io.ReadAll(httputil.NewChunkedReader(c.br))
	if string(body) != "hello" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
	h, err := textproto.NewReader(c.br).ReadMIMEHeader()
	if err != nil || h.Get("X-Sum") != "5 [yes]" || h.Get("X-More") != "unannounced" {
		t.Errorf("trailers %v, %v", h, err)
	}
	e.log("status=200 ")
}

func TestLargeBodies(t *testing.T) {
	t.Parallel()
	e := newEdge(t, Options{})
	e.publish(dyno(t, "web.1", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/sized" {
			w.Header().Set("Content-Length", fmt.Sprint(r.ContentLength))
		}
		http.NewResponseController(w).EnableFullDuplex()
		if _, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r.Body}, make([]byte, 10007)); err != nil {
			t.Error(err)
		}
	}))
	for _, tt := range []struct {
		path  string
		size  int64
		known bool
	}{{"/sized", 20 << 20, true}, {"/", 20 << 20, false}, {"/sized", maxInline, true}, {"/sized", maxInline + 1, true}, {"/", 1, false}, {"/", 0, false}} {
		sent, got := sha256.New(), sha256.New()
		source := &io.LimitedReader{R: rand.NewChaCha8([32]byte{1}), N: tt.size}
		req, err := http.NewRequest("POST", "http://"+e.addr+tt.path, struct{ io.Reader }{io.TeeReader(source, sent)})
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "app.test"
		if tt.known {
			req.ContentLength = tt.size
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(got, resp.Body)
		resp.Body.Close()
		if n != tt.size || err != nil || string(got.Sum(nil)) != string(sent.Sum(nil)) {
			t.Errorf("%s %d: %d came back, %v", tt.path, tt.size, n, err)
		}
		e.log("status=200 ")
	}
	http.DefaultClient.CloseIdleConnections()
}

// A dyno that answers without reading the body: the client gets the answer,
// and its connection is not used for what would follow the body.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	e := newEdge(t, Options{})
	for name, target := range map[string]Target{
		"kept":   answers(t, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno", false),
		"closed": answers(t, "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno", true),
		"chunks": answers(t, "HTTP/1.1 413 Too Large\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", false),
	} {
		t.Run(name, func(t *testing.T) {
			e.publish(target)
			c := e.dial().send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1000000\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n")
			resp, body := c.response("POST")
			if resp.StatusCode != 413 || body != "no" || !resp.Close {
				t.Errorf("%s %q, close %v", resp.Status, body, resp.Close)
			}
			if rest, err := io.ReadAll(c.br); len(rest) != 0 || err != nil {
				t.Errorf("then %q, %v", rest, err)
			}
			e.log("status=413 ")
		})
	}
	if len(e.logs) != 0 {
		t.Errorf("unexpected: %s", <-e.logs)
	}
}
