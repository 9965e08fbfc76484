package boot

import (
	"path/filepath"
	"syscall"
)

// Server is a web server that PHP-FPM is booted with.
type Server struct {
	Command  string // heroku-php-apache2
	Name     string // Apache2
	Section  string // what -C is included in
	Conf     string // its directory below conf
	Main     string // file names in there
	Site     string
	Variable string // names the include for the site's configuration
	Graceful syscall.Signal
	Logs     []string // in /tmp, with the port in the place of %s

	program string
	argv    func(s *settings) []string
	test    func(s *settings, show bool) []string
}

// Apache is the server of heroku-php-apache2.
func Apache() Server {
	command := func(s *settings, more ...string) []string {
		return append([]string{s.server, "-D", "FOREGROUND", "-f", s.serverMain, "-c", "Include \"" + s.serverConfig + "\""}, more...)
	}
	return Server{
		Command: "heroku-php-apache2", Name: "Apache2", Section: "<VirtualHost>",
		Conf: "apache2", Main: "httpd.conf", Site: "heroku.conf",
		Variable: "HEROKU_PHP_HTTPD_CONFIG_INCLUDE",
		Graceful: syscall.SIGWINCH,
		Logs:     []string{"heroku.apache2_error.%s.log", "heroku.apache2_access.%s.log"},
		program:  "apache2",
		argv:     func(s *settings) []string { return command(s) },
		test: func(s *settings, show bool) []string {
			if show {
				return command(s, "-S")
			}
			return command(s, "-t")
		},
	}
}

// Nginx is the server of heroku-php-nginx.
func Nginx() Server {
	command := func(s *settings, more ...string) []string {
		directives := "daemon off; pid " + filepath.Join(s.tmp, "heroku.nginx."+s.port+".pid") + "; include \"" + s.serverConfig + "\";"
		return append([]string{s.server, "-c", s.serverMain, "-e", "stderr", "-g", directives}, more...)
	}
	return Server{
		Command: "heroku-php-nginx", Name: "Nginx", Section: "server",
		Conf: "nginx", Main: "main.conf", Site: "heroku.conf.php",
		Variable: "HEROKU_PHP_NGINX_CONFIG_INCLUDE",
		Graceful: syscall.SIGQUIT,
		Logs:     []string{"heroku.nginx_error.%s.log", "heroku.nginx_access.%s.log"},
		program:  "nginx",
		argv:     func(s *settings) []string { return command(s) },
		test: func(s *settings, show bool) []string {
			if show {
				return command(s, "-T")
			}
			return command(s, "-t")
		},
	}
}
