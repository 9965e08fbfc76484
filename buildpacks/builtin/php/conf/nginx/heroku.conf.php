<?php
// The http section, run through PHP because nginx knows no environment
// variables. A file of your own (-c) takes the place of this one.
$port = getenv('PORT');
$root = getenv('DOCUMENT_ROOT');
$app = getenv('HEROKU_APP_DIR');
$include = getenv('HEROKU_PHP_NGINX_CONFIG_INCLUDE');
// A directory of the app as a location, if it is below the document root.
$below = function (string $dir) use ($app, $root): ?string {
    $path = $app . '/' . $dir;
    return strpos($path, $root . '/') === 0 ? substr($path, strlen($root)) : null;
};
?>
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;

    sendfile on;
    server_tokens off;
    # Longer than the router keeps an idle connection.
    keepalive_timeout 95;
    fastcgi_buffers 256 4k;
    # The router limits bodies by time, not by size.
    client_max_body_size 0;

    client_body_temp_path /tmp/heroku.nginx.<?=$port?>.body;
    fastcgi_temp_path /tmp/heroku.nginx.<?=$port?>.fastcgi;
    proxy_temp_path /tmp/heroku.nginx.<?=$port?>.proxy;
    scgi_temp_path /tmp/heroku.nginx.<?=$port?>.scgi;
    uwsgi_temp_path /tmp/heroku.nginx.<?=$port?>.uwsgi;

    # The name for PHP-FPM, to use in "fastcgi_pass heroku-fcgi".
    upstream heroku-fcgi {
        server unix:/tmp/heroku.fcgi.<?=$port?>.sock;
    }

    server {
        listen <?=$port?>;
        server_name localhost;
        root "<?=$root?>";
        port_in_redirect off;

        error_log /tmp/heroku.nginx_error.<?=$port?>.log;
        access_log /tmp/heroku.nginx_access.<?=$port?>.log;

        include "<?=$include?>";

        location ~ /\.(?!well-known/) {
            deny all;
        }
        location ~ ^/(composer\.(json|lock|phar)|Procfile)$ {
            deny all;
        }
<?php foreach (array_unique(array_filter(array_map($below, [getenv('COMPOSER_VENDOR_DIR'), getenv('COMPOSER_BIN_DIR')]))) as $dir): ?>
        location ^~ <?=$dir?>/ {
            deny all;
        }
<?php endforeach; ?>

        location ~ \.php {
            try_files @heroku-fcgi @heroku-fcgi;
        }
        # A location of its own, so that includes can fall back on it.
        location @heroku-fcgi {
            fastcgi_split_path_info ^(.+?\.php)(/.*)$;
            if (!-f $document_root$fastcgi_script_name) {
                return 404;
            }
            include /etc/nginx/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            fastcgi_param PATH_INFO $fastcgi_path_info if_not_empty;
            fastcgi_param SERVER_NAME $host;
            fastcgi_pass heroku-fcgi;
        }
    }
}
