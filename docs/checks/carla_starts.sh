#!/usr/bin/env bash
# Starts and stops the bridge N times against a server and counts what is left.
# carla_starts.sh N PORT [bridge options]: prints exit codes and the actors that stayed.
set -u
n=$1 port=$2
shift 2
declare -A codes
for ((i = 0; i < n; i++)); do
  log=$(mktemp)
  caril-carla-bridge --port "$port" --endpoint "ipc:///tmp/starts.$$" "$@" 2>"$log" &
  pid=$!
  # At a moment of its own each time: before, during and after setting up.
  sleep "$(awk -v i="$i" 'BEGIN { print 0.3 + (i * 7 % 23) * 0.15 }')"
  name=$([ $((i % 2)) = 0 ] && echo INT || echo TERM)
  kill -s "$name" "$pid"
  # A shell's background job is born deaf to INT, until it sets a handler of its own.
  (for _ in 1 2 3 4 5; do sleep 2; kill -s "$name" "$pid" 2>/dev/null || exit 0; done) &
  wait "$pid"
  code=$?
  codes[$code]=$((${codes[$code]:-0} + 1))
  [ "$code" = 0 ] || cat "$log"
  rm -f "$log"
done
for code in "${!codes[@]}"; do echo "exit code $code: ${codes[$code]} times"; done
