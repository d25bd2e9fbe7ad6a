#!/bin/sh
# Drops to the rabbitmq user, which must own its data and cookie, then becomes the command.
set -eu
if [ "$(id -u)" = 0 ] && [ "${1:-}" = rabbitmq-server ]; then
  chown -R rabbitmq:rabbitmq /var/lib/rabbitmq
  exec setpriv --reuid=rabbitmq --regid=rabbitmq --init-groups env HOME=/var/lib/rabbitmq "$@"
fi
exec "$@"
