// Package static is the built-in buildpack heroku/static: sites made of
// files, served as static.json says.
//
// # Design
//
// The file format and what it means are those of heroku-buildpack-static,
// which generates a configuration for its own build of nginx. Here the slug
// gets a copy of the program this package is linked into, and Server answers
// requests by the same rules:
//
//  1. https_only and canonical_host redirect, basic_auth asks;
//  2. a file is served, then a directory's index.html (with clean_urls,
//     /about is about.html first);
//  3. of the routes that match, the first one in the file names the page;
//  4. then proxies by prefix and redirects by path, in the file's order;
//  5. else 404, with error_page.
//
// Of the header rules that match a path the last one in the file applies,
// alone.
//
// Validators: a slug's files all have the same time, so there is no
// Last-Modified; the ETag is made of the content, and is the same in all
// dynos and after a deploy that did not change the file.
//
// A site may also have no static.json: then public_html is its root or, when
// there is an index.html in the app's own root, the app itself without its
// dot files and what only the platform reads.
//
// Third-party packages: golang.org/x/crypto/bcrypt, for htpasswd files.
package static
