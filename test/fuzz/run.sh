#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs every fuzz target of a build (meson setup -Dfuzz=true with clang) for SECONDS each.
# New inputs go to BUILD_DIR/fuzz/NAME, crashes to BUILD_DIR/fuzz/crash-NAME-*; any crash fails.
# usage: run.sh SECONDS BUILD_DIR [TARGET...]
set -eu

if [ $# -lt 2 ]; then
	echo "usage: $0 SECONDS BUILD_DIR [TARGET...]" >&2
	exit 2
fi
seconds=$1
build=$(cd "$2" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
shift 2

if [ $# -eq 0 ]; then
	for exe in "$build"/test/fuzz/fuzz_*; do
		if [ -f "$exe" ] && [ -x "$exe" ]; then
			set -- "$@" "${exe##*/fuzz_}"
		fi
	done
fi
if [ $# -eq 0 ]; then
	echo "no fuzz targets in $build: meson setup -Dfuzz=true" >&2
	exit 2
fi

failed=
for name in "$@"; do
	work=$build/fuzz/$name
	mkdir -p "$work"
	if UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 "$build/test/fuzz/fuzz_$name" \
		-max_total_time="$seconds" -max_len=8192 -timeout=10 -print_final_stats=1 \
		-artifact_prefix="$build/fuzz/crash-$name-" "$work" "$here/corpus/$name" \
		>"$build/fuzz/$name.log" 2>&1; then
		runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/fuzz/$name.log")
		echo "ok    $name: $runs runs"
	else
		failed="$failed $name"
		echo "FAIL  $name: see $build/fuzz/$name.log"
		tail -n 30 "$build/fuzz/$name.log"
	fi
done
if [ -n "$failed" ]; then
	echo "failed:$failed" >&2
	exit 1
fi
