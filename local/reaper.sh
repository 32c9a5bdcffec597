#!/bin/sh
# Outlives the stack by a few seconds: it holds the read end of a pipe whose write end only the stack's main process has. When
# that process ends in whatever way, kill -9 included, the pipe closes and everything it started is ended here.
# Lines on stdin: "add <pid> <signal> <group|process>", "del <pid>", "bye".
trap '' INT TERM HUP QUIT
children=''

forget() {
  kept=''
  for child in $children; do
    case "$child" in "$1":*) ;; *) kept="$kept $child" ;; esac
  done
  children=$kept
}

while read -r verb pid signal scope; do
  case "$verb" in
    add) children="$children $pid:$signal:$scope" ;;
    del) forget "$pid" ;;
    bye) exit 0 ;;
  esac
done

send() { # pid, signal, scope. Postgres takes its signal as one process: its backends must not see it.
  if [ "$3" = group ]; then kill -s "$2" -- "-$1" 2>/dev/null; else kill -s "$2" "$1" 2>/dev/null; fi
}

for child in $children; do
  rest=${child#*:}
  send "${child%%:*}" "${rest%%:*}" "${rest#*:}"
done

waited=0
while [ "$waited" -lt 50 ]; do
  alive=''
  for child in $children; do
    kill -0 -- "-${child%%:*}" 2>/dev/null && alive="$alive $child"
  done
  [ -z "$alive" ] && exit 0
  sleep 0.1
  waited=$((waited + 1))
done

for child in $children; do kill -s KILL -- "-${child%%:*}" 2>/dev/null; done
exit 0
