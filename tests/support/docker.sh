#!/bin/sh
# Stands in for the program `docker` under the official CLI: writes down what it is asked, and plays containers that start, are healthy
# and stop. What runs in them is played by tests/support/containers.ts. PLAYED names the folder of both.
call=$(mktemp "$PLAYED/calls/XXXXXXXX")
printf '%s\n' "$*" | head -c 4000 > "$call"

named() { # the value behind an option, among all arguments
  wanted=$1; shift
  before=''
  for argument in "$@"; do
    [ "$before" = "$wanted" ] && { printf '%s' "$argument"; return; }
    before=$argument
  done
}

running() { for up in "$PLAYED"/up/*; do [ -e "$up" ] && basename "$up"; done; }

case "$1 $2" in
  'version '*) echo '1.50 1.50 1.50' ;;
  'network inspect') [ "$3" = bridge ] && cat "$PLAYED/bridge" ;;
  'volume inspect') [ -e "$PLAYED/volumes/$3" ] || { echo "Error: no such volume: $3" >&2; exit 1; } ;;
  'volume create') : > "$PLAYED/volumes/$(for last in "$@"; do :; done; printf '%s' "$last")" ;;
  'volume ls') ls "$PLAYED/volumes" ;;
  'volume prune' | 'volume rm') rm -f "$PLAYED"/volumes/* ;;
  'container inspect')
    if [ -e "$PLAYED/up/$3" ]; then
      echo '{"Status":"running","Running":true,"ExitCode":0,"OOMKilled":false,"Health":{"Status":"healthy"}}'
    else
      echo "Error response from daemon: No such container: $3" >&2
      exit 1
    fi ;;
  'container rm') for name in "$@"; do rm -f "$PLAYED/up/$name"; done ;;
  'ps '*)
    for name in $(running); do
      case "$*" in *'{{.ID}}'*) printf '%s\t%s\t%s\n' "$name" "$name" "$PWD" ;; *) echo "$name" ;; esac
    done ;;
  'cp '*) cat > /dev/null ;;
  'create '*)
    name=$(named --name "$@")
    settings=$(named --env-file "$@")
    [ -n "$settings" ] && cp "$settings" "$PLAYED/settings/$name"
    echo "$name" ;;
  'start '*) : > "$PLAYED/up/$2" ;;
  'stop '* | 'rm '* | 'kill '*) for name in "$@"; do rm -f "$PLAYED/up/$name"; done ;;
  'logs -f') for name in "$@"; do :; done; while [ -e "$PLAYED/up/$name" ]; do sleep 0.1; done ;;
esac
exit 0
