#!/bin/sh
# Builds a Go program of one of the modules in make/programs, or copies files out of one of its modules.
#   make/build-program.sh MODULE PACKAGE PROGRAM MINUTES   builds a package; GO_TAGS and GO_STAMP go to Go
#   make/build-program.sh MODULE GO-MODULE FILES TARGET    copies a file, or the files of patterns, into one
set -eu
cd "$(dirname "$0")/.."

GO=${GO:-go}
LOWEST=1.26
module=$1 package=$2
root=$PWD

version=$("$GO" env GOVERSION 2>/dev/null | sed 's/^go//') || true
if [ "$(printf '%s\n' "$LOWEST" "$version" | sort -V | head -n 1)" != "$LOWEST" ]; then
    echo "needs Go $LOWEST or later, found ${version:-none}; install it, or name one: make GO=/path/to/go" >&2
    exit 1
fi
export CGO_ENABLED=0 GOFLAGS=-mod=readonly GOWORK=off

case $4 in
    */*)
        mkdir -p "$(dirname "$4")"
        directory=$(cd "make/programs/$module" && "$GO" mod download -json "$package" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
        (cd "$directory" && cat $3) >"$4.draft"
        mv "$4.draft" "$4"
        ;;
    *)
        echo "Building $(basename "$3") (on two cores, the first time, about $4 min)…"
        mkdir -p "$(dirname "$3")"
        begin=$(date +%s)
        cd "make/programs/$module"
        "$GO" build -p 2 -trimpath -buildvcs=false -tags "${GO_TAGS:-}" -ldflags "-s -w ${GO_STAMP:-}" -o "$root/$3.draft" "$package" || {
            echo "$(basename "$3") could not be built; try again when Go reaches its module proxy." >&2
            exit 1
        }
        mv "$root/$3.draft" "$root/$3"
        echo "Built $(basename "$3") in $(($(date +%s) - begin)) s."
        ;;
esac
