// Package image writes slugs as OCI images and reads them back: the slug.Store
// of this program.
//
// # Design
//
// An image is three kinds of blobs in a blob.FS: a manifest, whose digest names
// the slug, a config, and the layers, which package layers made before. The
// manifest is written last, so a digest that is known names a whole image.
// Nothing in manifest or config depends on when or where it was written: the
// same app layer on the same stack is the same slug.
//
// It is a package of its own, not part of slug/blob, because it needs both
// blobs and unpacked layers: Collect must treat them as one.
//
// github.com/opencontainers/image-spec: the format's Go types, by those who
// define it.
package image
