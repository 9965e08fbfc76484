package static

import "time"

// types are the kinds of files of the web, so that answers do not depend on
// what the machine has in /etc/mime.types; for all others that is asked.
var types = map[string]string{
	".avif": "image/avif", ".css": "text/css", ".csv": "text/csv", ".gif": "image/gif",
	".htm": "text/html", ".html": "text/html", ".ico": "image/x-icon", ".jpeg": "image/jpeg",
	".jpg": "image/jpeg", ".js": "text/javascript", ".json": "application/json", ".map": "application/json",
	".md": "text/markdown", ".mjs": "text/javascript", ".mp3": "audio/mpeg", ".mp4": "video/mp4",
	".otf": "font/otf", ".pdf": "application/pdf", ".png": "image/png", ".rss": "application/rss+xml",
	".svg": "image/svg+xml", ".ttf": "font/ttf", ".txt": "text/plain", ".wasm": "application/wasm",
	".webm": "video/webm", ".webmanifest": "application/manifest+json", ".webp": "image/webp",
	".woff": "font/woff", ".woff2": "font/woff2", ".xml": "text/xml", ".zip": "application/zip",
}

// zeroTime makes net/http leave Last-Modified out.
var zeroTime time.Time
