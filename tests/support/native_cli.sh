#!/bin/sh
# Stands in for the official CLI with its native runtime, which downloads its programs and so cannot run in a test: writes down how it is
# called, and plays a stack that is already there (tests/support/containers.ts). PLAYED names the folder of both.
call=$(mktemp "$PLAYED/calls/XXXXXXXX")
printf 'stack=%s project=%s api=%s db=%s %s\n' "$SUPABASE_EXPERIMENTAL_STACK" "$SUPABASE_PROJECT_ID" "$SUPABASE_API_PORT" \
  "$SUPABASE_DB_PORT" "$*" > "$call"
runtime="supabase_edge_runtime_tollgate-$SUPABASE_API_PORT"

case "$1 $2" in
  'stack status')
    echo "API_URL=\"http://127.0.0.1:$SUPABASE_API_PORT\""
    echo "DB_URL=\"postgresql://postgres:postgres@127.0.0.1:$SUPABASE_DB_PORT/postgres\""
    cat "$PLAYED/keys" ;;
  'functions serve')
    { cat "$4"; cat "$PLAYED/keys"; } | tr -d "'\"" | sed 's/^\(PUBLISHABLE_KEY\|SECRET_KEY\)=/SUPABASE_INTERNAL_&/' \
      > "$PLAYED/settings/$runtime"
    echo "SUPABASE_URL=http://127.0.0.1:$SUPABASE_API_PORT" >> "$PLAYED/settings/$runtime"
    trap 'rm -f "$PLAYED/up/$runtime"; exit 0' INT TERM
    : > "$PLAYED/up/$runtime"
    while :; do sleep 0.1; done ;;
esac
