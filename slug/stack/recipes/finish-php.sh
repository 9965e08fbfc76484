# Runs inside the tree once PHP's packages are there.
# nginx makes its temporary directories here when it starts, as the dyno's user.
mkdir -p /var/lib/nginx
chown 1000:1000 /var/lib/nginx
