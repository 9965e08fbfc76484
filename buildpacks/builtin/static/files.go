package static

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"mime"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
)

// files are the files of a site.
type files struct {
	root     string
	encoding string
	private  map[string]bool // first path elements that are not part of the site

	mu    sync.Mutex
	etags map[string]etag
}

// etag is remembered by path; size and time tell that it is still right, for
// an app that writes into its root at run time.
type etag struct {
	size, time int64
	tag        string
}

// maxETags bounds the memory of a site with very many files.
const maxETags = 20_000

func newFiles(dir string, c *Config) *files {
	f := &files{root: filepath.Join(dir, filepath.FromSlash(c.Root)), encoding: c.Encoding, etags: map[string]etag{}}
	if c.Root == "." {
		f.private = map[string]bool{configName: true, "Procfile": true, "app.json": true, "bin": true}
	}
	return f
}

// open opens a regular file by its path in the site. Dot files are never part
// of a site, but for .well-known.
func (f *files) open(uri string) (*os.File, os.FileInfo) {
	for i, part := range strings.Split(uri[1:], "/") {
		if strings.HasPrefix(part, ".") && part != ".well-known" || i == 0 && f.private[part] {
			return nil, nil
		}
	}
	file, err := os.Open(filepath.Join(f.root, filepath.FromSlash(uri)))
	if err != nil {
		return nil, nil
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		file.Close()
		return nil, nil
	}
	return file, info
}

func (f *files) has(uri string) bool {
	file, _ := f.open(uri)
	if file == nil {
		return false
	}
	file.Close()
	return true
}

// serve answers with a file, and returns false if there is none.
func (f *files) serve(w http.ResponseWriter, r *http.Request, uri string, status int) bool {
	file, info := f.open(uri)
	if file == nil {
		return false
	}
	defer file.Close()
	h := w.Header()
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", f.contentType(uri))
	}
	if status != http.StatusOK {
		// An error page has no validator: it is not what was asked for.
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			_, _ = io.Copy(w, file) // the client went away
		}
		return true
	}
	tag, err := f.etag(uri, file, info)
	if err != nil {
		http.Error(w, "Internal Server Error", http.StatusInternalServerError)
		return true
	}
	h.Set("ETag", tag)
	http.ServeContent(w, r, "", zeroTime, file)
	return true
}

func (f *files) etag(uri string, file io.ReadSeeker, info os.FileInfo) (string, error) {
	size, time := info.Size(), info.ModTime().UnixNano()
	f.mu.Lock()
	known, ok := f.etags[uri]
	f.mu.Unlock()
	if ok && known.size == size && known.time == time {
		return known.tag, nil
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	tag := `"` + hex.EncodeToString(hash.Sum(nil)[:16]) + `"`
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.etags) >= maxETags {
		clear(f.etags)
	}
	f.etags[uri] = etag{size: size, time: time, tag: tag}
	return tag, nil
}

// contentType is by the file's name; text gets the site's encoding.
func (f *files) contentType(uri string) string {
	ext := strings.ToLower(path.Ext(uri))
	kind := types[ext]
	if kind == "" {
		kind = mime.TypeByExtension(ext)
	}
	if kind == "" {
		return "application/octet-stream"
	}
	media, _, err := mime.ParseMediaType(kind)
	if err != nil {
		return kind
	}
	if strings.HasPrefix(media, "text/") || media == "application/javascript" || media == "application/rss+xml" {
		return media + "; charset=" + f.encoding
	}
	return media
}
