// Package slug says what a slug is, and what a build is asked and answers.
//
// # Design
//
// A slug is an OCI image (image-spec v1.1): the stack's layers by digest, then
// the app's own layer, whose tar has everything below app/, then a config that
// carries the process types as a label. It is written once, reproducibly
// (entries sorted, owners and times normalised), named by the digest of its
// manifest, and never changed. So skopeo, crane and any registry understand
// it. Its bytes are verified whenever they are unpacked.
package slug
