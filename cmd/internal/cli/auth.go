package cli

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"paas/api"
	"paas/api/client"
	v3 "paas/api/v3"
)

var loginCommand = &Command{
	Name: "login", Aliases: []string{"auth:login"}, Short: "log in to a platform",
	Long: `Asks for e-mail address and password, or reads a token from a file ("-" is
standard input). Only a token is kept, in a file that only you may read.

Examples:
  $ paas login --api-url https://api.example.com
  $ paas login --api-url http://127.0.0.1:5000 --token-file token.txt`,
	Flags: func(f *pflag.FlagSet) {
		f.String("api-url", "", "address of the platform's API (default: the last one)")
		f.String("token-file", "", "file with an API token; - is standard input")
	},
	Run: func(ctx context.Context, c *Call) error {
		if err := c.args(0, 0); err != nil {
			return err
		}
		s := settings{APIURL: c.settings.APIURL}
		if u := c.string("api-url"); u != "" {
			s.APIURL = strings.TrimRight(u, "/")
		}
		if inTheClear(s.APIURL) {
			show(c.Stderr, "Warning: "+s.APIURL+" is not encrypted: who can watch the network sees your token.")
		}
		var err error
		if file := c.string("token-file"); file != "" {
			s.Token, err = readToken(c, file)
		} else {
			s.Token, err = passwordLogin(ctx, c, s.APIURL)
		}
		if err != nil {
			return err
		}
		cl, err := client.New(s.APIURL, s.Token, "paas-cli/"+version())
		if err != nil {
			return err
		}
		a, err := cl.Account(ctx)
		if err != nil {
			return err
		}
		s.Email = a.Email
		if err := s.save(); err != nil {
			return err
		}
		c.say("Logged in as %s\n", a.Email)
		return nil
	},
}

// inTheClear says whether what is sent to that address can be read on the way.
func inTheClear(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" {
		return false
	}
	host := u.Hostname()
	ip, err := netip.ParseAddr(host)
	local := host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.IsLoopback()
	return !local
}

func readToken(c *Call, file string) (string, error) {
	var in io.Reader = c.Stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("cannot read token: %w", err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, 4096))
	if err != nil {
		return "", fmt.Errorf("cannot read token: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if token == "" || strings.ContainsAny(token, " \t\r\n") {
		return "", usagef("%s does not hold a token: one word, nothing else.", file)
	}
	return token, nil
}

func passwordLogin(ctx context.Context, c *Call, base string) (string, error) {
	if !term.IsTerminal(int(c.Stdin.Fd())) {
		return "", usagef("There is no terminal to ask on. Use --token-file.")
	}
	cl, err := client.New(base, "", "paas-cli/"+version())
	if err != nil {
		return "", err
	}
	email, err := c.ask(ctx, "Enter your login for "+base+":\nEmail: ", false)
	if err != nil {
		return "", fmt.Errorf("cannot read e-mail address: %w", err)
	}
	password, err := c.ask(ctx, "Password: ", true)
	if err != nil {
		return "", fmt.Errorf("cannot read password: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	a, err := cl.Login(ctx, email, password, v3.AuthorizationRequest{Description: "paas login from " + host})
	return a.AccessToken.Token, err
}

var logoutCommand = &Command{
	Name: "logout", Aliases: []string{"auth:logout"}, Short: "forget the login, and revoke its token",
	Run: func(ctx context.Context, c *Call) error {
		// PAAS_API_KEY is not the login's: whoever set it may need it still.
		s, err := savedSettings()
		if err != nil {
			return err
		}
		if s.Token == "" {
			return usagef("Nobody is logged in.")
		}
		cl, err := client.New(s.APIURL, s.Token, "paas-cli/"+version())
		if err != nil {
			return err
		}
		// The token is forgotten here even if the server cannot be told.
		revoked := cl.Logout(ctx)
		if err := (settings{APIURL: s.APIURL}).save(); err != nil {
			return err
		}
		if revoked != nil && api.IDOf(revoked) != api.Unauthorized {
			return fmt.Errorf("the login is forgotten here, but its token could not be revoked: %w", revoked)
		}
		c.say("Logged out\n")
		return nil
	},
}

var whoamiCommand = &Command{
	Name: "whoami", Aliases: []string{"auth:whoami"}, Short: "print the e-mail address of the login", JSON: true,
	Run: func(ctx context.Context, c *Call) error {
		cl, err := c.Client()
		if err != nil {
			return err
		}
		a, err := cl.Account(ctx)
		if err != nil {
			return err
		}
		if done, err := c.json(a); done {
			return err
		}
		c.print("%s\n", a.Email)
		return nil
	},
}

var tokenCommand = &Command{
	Name: "auth:token", Short: "print the API token of the login",
	Run: func(_ context.Context, c *Call) error {
		if _, err := c.Client(); err != nil {
			return err
		}
		c.print("%s\n", c.settings.Token)
		return nil
	},
}
