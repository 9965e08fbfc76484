package static

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// drain is how long requests in flight may take after the dyno was told to
// stop; the platform kills it after 30 seconds.
const drain = 25 * time.Second

// Serve is the web process of a static site: it serves the app in dir on
// $PORT until ctx ends, and returns the exit status.
func Serve(ctx context.Context, dir string, getenv func(string) string, log io.Writer) int {
	if err := serve(ctx, dir, getenv, log); err != nil {
		fmt.Fprintln(log, "static:", err)
		return 1
	}
	return 0
}

func serve(ctx context.Context, dir string, getenv func(string) string, log io.Writer) error {
	config, _, err := LoadConfig(dir)
	if err != nil {
		return err
	}
	if err := config.Interpolate(getenv); err != nil {
		return err
	}
	site, err := NewServer(config, dir, getenv)
	if err != nil {
		return err
	}
	port := getenv("PORT")
	if port == "" {
		port = "5000"
	}
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return fmt.Errorf("cannot listen on $PORT: %w", err)
	}
	var handler http.Handler = site
	if config.AccessLog {
		handler = logged(site, log)
	}
	fmt.Fprintf(log, "static: serving %s on port %s\n", config.Root, port)
	return run(ctx, listener, handler)
}

func run(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       95 * time.Second, // longer than the router keeps idle connections
		MaxHeaderBytes:    64 << 10,
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err := server.Shutdown(stop)
	if serr := <-done; !errors.Is(serr, http.ErrServerClosed) {
		return serr
	}
	return err
}

// logged prints one line for each request.
func logged(next http.Handler, log io.Writer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		counted := &counter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(counted, r)
		fmt.Fprintf(log, "%s %q %d %d %q %dms\n", r.Method, r.URL.RequestURI(), counted.status,
			counted.bytes, r.UserAgent(), time.Since(start).Milliseconds())
	})
}

type counter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (c *counter) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.bytes += int64(n)
	return n, err
}

// ReadFrom keeps sendfile working through the counter.
func (c *counter) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(c.ResponseWriter, r)
	c.bytes += n
	return n, err
}

// Unwrap lets net/http reach what this type does not pass on.
func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
