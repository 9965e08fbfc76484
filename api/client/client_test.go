package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"paas/api"
	"paas/api/client"
	v3 "paas/api/v3"
)

func serve(t *testing.T, h http.Handler) (*client.Client, *httptest.Server) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := client.New(s.URL, "token", "test")
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

func TestNewChecksTheAddress(t *testing.T) {
	for _, bad := range []string{"", "127.0.0.1:5000", "localhost", "ftp://host", "http://", ":"} {
		if _, err := client.New(bad, "", ""); api.IDOf(err) != api.InvalidParams {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Answers that are not the API's must say what was wrong with the address.
func TestWrongServers(t *testing.T) {
	tests := []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"not found page", http.NotFound, "which is not this API"},
		{"not JSON", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }, "cannot read answer"},
		{"redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "https://other.example/", 302) }, "https://other.example/"},
		{"an error of ours", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(422)
			io.WriteString(w, `{"id":"invalid_params","message":"Not so."}`)
		}, "Not so."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked := 0
			c, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked++; tt.answer(w, r) }))
			_, err := c.Account(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q", err, tt.want)
			}
			if asked != 1 {
				t.Errorf("%d requests", asked)
			}
		})
	}
	c, s := serve(t, http.NotFoundHandler())
	s.Close()
	if _, err := c.Account(t.Context()); api.IDOf(err) != api.Unavailable || !strings.Contains(err.Error(), "paasd") {
		t.Errorf("nobody there: %v", err)
	}
}

func TestPages(t *testing.T) {
	c, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("Range") {
		case "":
			w.Header().Set("Next-Range", "name ]b..; max=2")
			w.WriteHeader(http.StatusPartialContent)
			io.WriteString(w, `[{"name":"a"},{"name":"b"}]`)
		case "name ]b..; max=2":
			io.WriteString(w, `[{"name":"c"}]`)
		}
	}))
	apps, err := c.Apps(t.Context(), true)
	if err != nil || len(apps) != 3 || apps[2].Name != "c" {
		t.Errorf("%v, %v", apps, err)
	}
}

// logServer streams lines 1, 2, 3 ... to whoever asks, breaks after every
// second one, and knows a session only for one connection, as a server that is
// restarted all the time.
type logServer struct {
	mu       sync.Mutex
	session  int
	sessions int
	asked    []string // Last-Event-ID of each connection
}

func (l *logServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.Method == http.MethodPost {
		l.sessions++
		l.session = l.sessions
		fmt.Fprintf(w, `{"logplex_url":"http://%s/streams/%d"}`, r.Host, l.session)
		return
	}
	if r.URL.Path != fmt.Sprintf("/streams/%d", l.session) {
		w.WriteHeader(404)
		io.WriteString(w, `{"id":"not_found","message":"Couldn't find that log session."}`)
		return
	}
	l.session = -1
	last := r.Header.Get("Last-Event-ID")
	l.asked = append(l.asked, last)
	n := 0
	fmt.Sscan(last, &n)
	fmt.Fprintf(w, ": heartbeat\n\nid: %d\ndata: line %d\n\nid: %d\ndata: line %d\n\nid: %d\n", n+1, n+1, n+2, n+2, n+3)
}

func TestTailIsTakenUpAgain(t *testing.T) {
	server := &logServer{}
	c, _ := serve(t, server)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	enough := errors.New("enough")
	var got []string
	err := c.Logs(ctx, "shop", v3.LogSessionRequest{Tail: true}, func(line string) error {
		got = append(got, line)
		if len(got) == 5 {
			return enough
		}
		return nil
	})
	if err != enough {
		t.Fatal(err)
	}
	if want := []string{"line 1", "line 2", "line 3", "line 4", "line 5"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if want := []string{"", "2", "4"}; !slices.Equal(server.asked, want) || server.sessions != 3 {
		t.Errorf("resumed behind %q in %d sessions", server.asked, server.sessions)
	}
}

func TestLogsEndWithoutTail(t *testing.T) {
	c, _ := serve(t, &logServer{})
	var got []string
	if err := c.Logs(t.Context(), "shop", v3.LogSessionRequest{}, func(l string) error { got = append(got, l); return nil }); err != nil || len(got) != 2 {
		t.Errorf("%q, %v", got, err)
	}
}

// An attached dyno gets stdin and its end, the newest size of the terminal,
// and its exit status comes back.
func TestAttach(t *testing.T) {
	c, s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the token is sent to a capability URL")
		}
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		if strings.HasSuffix(r.URL.Path, "/broken") {
			return
		}
		seen := map[string]bool{}
		for !seen[`{"eof":true}`] || !seen["hello"] || !seen[`{"resize":{"rows":24,"cols":80}}`] {
			_, b, err := conn.Read(r.Context())
			if err != nil {
				t.Error(err)
				return
			}
			seen[string(b)] = true
		}
		conn.Write(r.Context(), websocket.MessageBinary, []byte("bye"))
		conn.Write(r.Context(), websocket.MessageText, []byte(`{"exit":{"status":3}}`))
		conn.Read(r.Context())
	}))
	resize := make(chan v3.Resize, 1)
	resize <- v3.Resize{Rows: 24, Cols: 80}
	var out strings.Builder
	status, err := c.Attach(t.Context(), s.URL+"/attach/x", strings.NewReader("hello"), &out, resize)
	if err != nil || status != 3 || out.String() != "bye" {
		t.Errorf("%d, %q, %v", status, out.String(), err)
	}
	if _, err := c.Attach(t.Context(), s.URL+"/attach/broken", strings.NewReader(""), io.Discard, nil); api.IDOf(err) != api.Unavailable {
		t.Errorf("a broken connection: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Attach(ctx, s.URL+"/attach/x", strings.NewReader(""), io.Discard, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
