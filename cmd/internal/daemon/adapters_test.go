package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestAddressesOfApps(t *testing.T) {
	for _, tt := range []struct{ router, ssh, web, git string }{
		{":80", ":22", "http://shop.example.com/", "git@example.com:shop.git"},
		{"127.0.0.1:8080", "0.0.0.0:2222", "http://shop.example.com:8080/", "ssh://git@example.com:2222/shop.git"},
	} {
		c := Config{Domain: "example.com", RouterAddr: tt.router, SSHAddr: tt.ssh}
		if web, git := c.webURL("shop"), c.gitURL("shop"); web != tt.web || git != tt.git {
			t.Errorf("%s, %s", web, git)
		}
	}
}

// git gets what it needs to get out, and none of paasd's secrets.
func TestProxies(t *testing.T) {
	got := proxies([]string{"HTTPS_PROXY=a", "no_proxy=b", "PAAS_TOKEN=s3cret", "PATH=/bin", "SSL_CERT_FILE=c", "AWS_SECRET_ACCESS_KEY=s3cret"})
	if !slices.Equal(got, []string{"HTTPS_PROXY=a", "no_proxy=b", "SSL_CERT_FILE=c"}) {
		t.Error(got)
	}
}

func TestEndingWith(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	h := endingWith(ctx, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		stop()
		<-r.Context().Done()
		served <- r.Context().Err()
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	if err := <-served; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// What clients do is not worth an operator's time; a panic is.
func TestLogWriter(t *testing.T) {
	var b bytes.Buffer
	w := logWriter{slog.New(slog.NewTextHandler(&b, nil))}
	if _, err := w.Write([]byte("http: TLS handshake error\n")); err != nil || b.Len() > 0 {
		t.Errorf("%v %s", err, b.String())
	}
	if _, err := w.Write([]byte("http: panic serving 127.0.0.1:1: boom\n")); err != nil || !strings.Contains(b.String(), "level=ERROR") {
		t.Errorf("%v %s", err, b.String())
	}
}
