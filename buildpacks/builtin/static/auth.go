package static

import (
	"bufio"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// credentials are the users who may read a site: name -> htpasswd entry.
type credentials map[string]string

// plainText marks a password from the environment.
const plainText = "{PLAIN}"

// newCredentials returns nil for a site without basic_auth. The config vars
// BASIC_AUTH_USERNAME and BASIC_AUTH_PASSWORD switch it on by themselves.
func newCredentials(c *Config, dir string, getenv func(string) string) (credentials, error) {
	user, password := getenv("BASIC_AUTH_USERNAME"), getenv("BASIC_AUTH_PASSWORD")
	if user != "" && password != "" {
		return credentials{user: plainText + password}, nil
	}
	if !c.BasicAuth && c.Htpasswd == "" {
		return nil, nil
	}
	file := c.Htpasswd
	if file == "" {
		file = ".htpasswd"
	}
	file = strings.TrimPrefix(file, "/app/")
	if !filepath.IsLocal(file) {
		return nil, fmt.Errorf("%s: basic_auth_htpasswd_path: %q is not inside of the app", configName, file)
	}
	f, err := os.Open(filepath.Join(dir, file))
	if err != nil {
		return nil, fmt.Errorf("basic_auth is on: set BASIC_AUTH_USERNAME and BASIC_AUTH_PASSWORD, or add %s", file)
	}
	defer f.Close()
	users := credentials{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, entry, ok := strings.Cut(strings.TrimSpace(lines.Text()), ":")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		if !knownScheme(entry) {
			return nil, fmt.Errorf("%s: the password of %q is of a kind that is not known here: use bcrypt, apr1 or {SHA}", file, name)
		}
		users[name] = entry
	}
	return users, nil
}

func knownScheme(entry string) bool {
	for _, prefix := range []string{"$2a$", "$2b$", "$2y$", "$apr1$", "{SHA}", "{SSHA}", plainText} {
		if strings.HasPrefix(entry, prefix) {
			return true
		}
	}
	return false
}

func (c credentials) allow(r *http.Request) bool {
	user, password, ok := r.BasicAuth()
	entry, known := c[user]
	if !known {
		entry = plainText // compared all the same: the time does not tell who exists
	}
	return matches(entry, password) && ok && known
}

func matches(entry, password string) bool {
	switch {
	case strings.HasPrefix(entry, "$2"):
		return bcrypt.CompareHashAndPassword([]byte(entry), []byte(password)) == nil
	case strings.HasPrefix(entry, "$apr1$"):
		salt, _, _ := strings.Cut(entry[len("$apr1$"):], "$")
		return same(entry, apr1(password, salt))
	case strings.HasPrefix(entry, "{SHA}"):
		sum := sha1.Sum([]byte(password))
		return same(entry[len("{SHA}"):], base64.StdEncoding.EncodeToString(sum[:]))
	case strings.HasPrefix(entry, "{SSHA}"):
		raw, err := base64.StdEncoding.DecodeString(entry[len("{SSHA}"):])
		if err != nil || len(raw) < sha1.Size {
			return false
		}
		sum := sha1.Sum(append([]byte(password), raw[sha1.Size:]...))
		return same(string(raw[:sha1.Size]), string(sum[:]))
	}
	return same(strings.TrimPrefix(entry, plainText), password)
}

func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b)) // hides the lengths too
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// apr1 is Apache's variant of the MD5 crypt, what htpasswd writes by default.
func apr1(password, salt string) string {
	salt = salt[:min(len(salt), 8)]
	inner := md5.Sum([]byte(password + salt + password))
	text := []byte(password + "$apr1$" + salt)
	for n := len(password); n > 0; n -= 16 {
		text = append(text, inner[:min(n, 16)]...)
	}
	for n := len(password); n > 0; n >>= 1 {
		if n&1 == 1 {
			text = append(text, 0)
		} else {
			text = append(text, password[0])
		}
	}
	sum := md5.Sum(text)
	for i := range 1000 {
		var round []byte
		add := func(when bool, yes, no []byte) {
			if when {
				round = append(round, yes...)
			} else {
				round = append(round, no...)
			}
		}
		add(i&1 == 1, []byte(password), sum[:])
		add(i%3 != 0, []byte(salt), nil)
		add(i%7 != 0, []byte(password), nil)
		add(i&1 == 1, sum[:], []byte(password))
		sum = md5.Sum(round)
	}
	const alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	out := []byte("$apr1$" + salt + "$")
	put := func(v, n int) {
		for ; n > 0; n-- {
			out = append(out, alphabet[v&63])
			v >>= 6
		}
	}
	for _, t := range [][3]int{{0, 6, 12}, {1, 7, 13}, {2, 8, 14}, {3, 9, 15}, {4, 10, 5}} {
		put(int(sum[t[0]])<<16|int(sum[t[1]])<<8|int(sum[t[2]]), 4)
	}
	put(int(sum[11]), 2)
	return string(out)
}
