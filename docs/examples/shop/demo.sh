#!/usr/bin/env bash
# Records the shop in one OS process, which kills itself, and asks the recording in a second one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export MIX_ENV=dev
# The output is UTF-8 whatever the locale says.
[ "$(locale charmap 2>/dev/null)" = UTF-8 ] || export LC_ALL=C.UTF-8

folder=_build/demo

fail() {
	printf 'demo: %s\n' "$*" >&2
	exit 1
}

mix compile
rm -rf "$folder"

# The shell would write "Killed" and the command line to its own stderr.
status=0
exec 3>&2 2>/dev/null
mix shop.record "$folder" 2>&3 || status=$?
exec 2>&3 3>&-
[ "$status" = 137 ] || fail "expected process 1 to die by signal 9 (exit code 137), got exit code $status"
printf 'It died by signal 9: exit code %s.\n' "$status"

mix shop.ask "$folder"
