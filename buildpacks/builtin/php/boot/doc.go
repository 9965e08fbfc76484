// Package boot is what runs in the dyno of a PHP app: heroku-php-apache2 and
// heroku-php-nginx. It prepares the configuration, starts PHP-FPM and the web
// server, passes their logs to stderr, and ends when one of them ends.
//
// # Design
//
//	options   the command line, which is the interface of Heroku's scripts
//	settings  where everything is: files, ports, programs; the environment
//	          that configuration files refer to
//	workers   WEB_CONCURRENCY from memory and cores
//	logs      named pipes in the place of log files, so that nothing fills
//	          the dyno's disk; files that -l names are followed
//	tail      follows one such file
//	run       start, wait, stop: the web server first, so that requests in
//	          flight still find PHP
//
// Third-party packages: golang.org/x/sys/unix, for inotify.
package boot
