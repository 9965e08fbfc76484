package auth

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// maxHeader bounds an Authorization header: an e-mail and a password, with
// room.
const maxHeader = 4096

// credentials are what an Authorization header holds. Both forms may hold a
// token, as the secret.
type credentials struct {
	name   string // of Basic; "" with Bearer
	secret string
}

// parseHeader reads "Bearer SECRET" and "Basic base64(NAME:SECRET)", with any
// case of the scheme.
func parseHeader(header string) (credentials, bool) {
	if len(header) > maxHeader {
		return credentials{}, false
	}
	scheme, value, _ := strings.Cut(strings.TrimSpace(header), " ")
	value = strings.TrimSpace(value)
	var c credentials
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		c.secret = value
	case strings.EqualFold(scheme, "Basic"):
		b, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return credentials{}, false
		}
		var ok bool
		if c.name, c.secret, ok = strings.Cut(string(b), ":"); !ok {
			return credentials{}, false
		}
	}
	if c.secret == "" || !utf8.ValidString(c.name) || !utf8.ValidString(c.secret) {
		return credentials{}, false
	}
	return c, true
}
