// Package php is the built-in buildpack heroku/php: apps with a composer.json
// or an index.php.
//
// # Design
//
// PHP, Composer, Apache and nginx come from the stack layer "php", mounted in
// builds and in dynos alike; nothing of them is in the slug. So there is one
// version of each, and this buildpack's business is to say clearly whether an
// app can live with it: requirements are collected from composer.lock and
// evaluated with Composer's own rules (Constraint) before Composer runs.
//
// The commands heroku-php-apache2 and heroku-php-nginx are this program under
// other names (package boot), copied to
// <vendor>/heroku/heroku-buildpack-php/bin and linked into Composer's bin-dir,
// so that both spellings found in Procfiles work. Their configuration lies
// beside them in conf, where apps may look at it.
package php
