package router

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"paas/api"
)

// BenchmarkLookup is the routing alone, with 10,000 hosts.
func BenchmarkLookup(b *testing.B) {
	r := New(Options{})
	r.Publish(manyHosts(10000))
	for name, host := range map[string]string{"exact": "App-5000.test:80", "wildcard": "x.app-5000.wild.test", "unknown": "nobody.else.test"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r.table.Load().lookup(canonicalHost(host))
			}
		})
	}
}

func manyHosts(n int) *Table {
	hosts := map[string]*Route{}
	for i := range n {
		rt := &Route{AppID: fmt.Sprint(i)}
		hosts[fmt.Sprintf("app-%d.test", i)] = rt
		hosts[fmt.Sprintf("*.app-%d.wild.test", i)] = rt
	}
	return &Table{Hosts: hosts}
}

func BenchmarkPublish(b *testing.B) {
	r := New(Options{})
	t := manyHosts(1000)
	for b.Loop() {
		r.Publish(t)
	}
}

func BenchmarkRecord(b *testing.B) {
	r := record{method: "GET", path: "/x?y=1", host: "www.example.com", id: "1895f0e1-5da3-4556-9fbb-f046d1a73561", fwd: "203.0.113.7",
		dyno: "web.1", service: 12 * time.Millisecond, status: 200, bytes: 1536, protocol: "https"}
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = r.appendTo(buf[:0])
	}
}

// benchDyno answers with as few cycles as can be, so that what is measured is
// the router.
func benchDyno(b *testing.B, body string) Target {
	l := listen(b)
	b.Cleanup(func() { l.Close() })
	answer := []byte(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				br := bufio.NewReader(c)
				for {
					length, err := skipHead(br)
					if err != nil {
						return
					}
					br.Discard(length)
					c.Write(answer)
				}
			}()
		}
	}()
	return target4("web.1", l)
}

// skipHead reads to the end of a head and returns its Content-Length.
func skipHead(br *bufio.Reader) (length int, err error) {
	for {
		line, err := br.ReadSlice('\n')
		if err != nil || len(line) == 2 {
			return length, err
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			for _, c := range value[:len(value)-2] {
				length = length*10 + int(c-'0')
			}
		}
	}
}

// drive sends requests over keep-alive connections as wrk does.
func drive(b *testing.B, addr, request string) {
	raw := []byte(request)
	b.SetParallelism(8)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			b.Error(err)
			return
		}
		defer c.Close()
		br := bufio.NewReaderSize(c, 64<<10)
		for pb.Next() {
			c.Write(raw)
			length, err := skipHead(br)
			if err != nil {
				b.Error(err)
				return
			}
			if _, err := br.Discard(length); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func benchRouter(b *testing.B, t Target) string {
	r := New(Options{Log: func(string, api.LogLine) {}})
	r.Publish(table(Serving, t))
	l := listen(b)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Run(ctx, l) }()
	b.Cleanup(func() { cancel(); <-done })
	return l.Addr().String()
}

func BenchmarkProxy(b *testing.B) {
	for _, bb := range []struct{ name, request, body string }{
		{"GET-1KiB", "GET / HTTP/1.1\r\nHost: app.test\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n", strings.Repeat("x", 1<<10)},
		{"GET-100KiB", "GET / HTTP/1.1\r\nHost: app.test\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n", strings.Repeat("x", 100<<10)},
		{"POST-64KiB", "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 65536\r\n\r\n" + strings.Repeat("x", 64<<10), "ok"},
	} {
		b.Run(bb.name, func(b *testing.B) { drive(b, benchRouter(b, benchDyno(b, bb.body)), bb.request) })
	}
	b.Run("direct-GET-1KiB", func(b *testing.B) {
		drive(b, benchDyno(b, strings.Repeat("x", 1<<10)).Addr.String(), "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")
	})
	// The same client's side without a dyno's: what net/http's server costs.
	b.Run("nethttp-echo-1KiB", func(b *testing.B) {
		l := listen(b)
		body := []byte(strings.Repeat("x", 1<<10))
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Length"] = []string{"1024"}
			w.Header()["Content-Type"] = []string{"text/plain"}
			w.Write(body)
		})}
		go srv.Serve(l)
		b.Cleanup(func() { srv.Close() })
		drive(b, l.Addr().String(), "GET / HTTP/1.1\r\nHost: app.test\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
	})
}

// BenchmarkIdleConnections tells what a client's kept connection costs.
func BenchmarkIdleConnections(b *testing.B) {
	const n = 1000
	for b.Loop() {
		addr := benchRouter(b, benchDyno(b, "ok"))
		conns := make([]net.Conn, n)
		before := inUse()
		for i := range conns {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				b.Fatal(err)
			}
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")
			if _, err := c.Read(make([]byte, 4096)); err != nil {
				b.Fatal(err)
			}
			conns[i] = c
		}
		b.ReportMetric(float64(inUse()-before)/n/1024, "KiB/conn")
		for _, c := range conns {
			c.Close()
		}
	}
}

// inUse is the heap and the stacks.
func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
