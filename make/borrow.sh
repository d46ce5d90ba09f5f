#!/bin/sh
# Fetches what the tests borrow, and installs nothing into the system.
#   make/borrow.sh program NAME     makes .venv/bin/NAME run the program that the variable of that name names (SKOPEO,
#                                   DOCKER_REGISTRY), otherwise the PATH's if its version serves, otherwise Debian's
#   make/borrow.sh unpack PACKAGE   unpacks a Debian package with all its libraries into .venv/unpacked/PACKAGE
#   make/borrow.sh venv DIRECTORY WHAT ARGUMENT…    makes a virtual environment with what pip installs
set -eu
cd "$(dirname "$0")/.."

# The program, the lowest version that serves, the first one above it that was not tried, Debian's package, the file in it,
# and the names on a PATH. From Prometheus 3 on, a range leaves out its oldest moment.
PROGRAMS='
chromium        120  1000 chromium        usr/lib/chromium/chromium chromium chromium-browser google-chrome
docker-registry 2.8  3    docker-registry usr/bin/docker-registry   docker-registry
prometheus      2.42 3    prometheus      usr/bin/prometheus        prometheus
promtool        2.42 3    prometheus      usr/bin/promtool          promtool
skopeo          1.9  2    skopeo          usr/bin/skopeo            skopeo
'

program() {
    read -r name lowest above package file names <<END
$(echo "$PROGRAMS" | grep "^$1 ")
END
    variable=$(echo "$name" | tr a-z- A-Z_)
    chosen=$(printenv "$variable" || true)
    link=.venv/bin/$name
    mkdir -p .venv/bin
    if [ -n "$chosen" ]; then
        found=$(absolute "$chosen") || { echo "$variable=$chosen is no program" >&2; exit 1; }
    else
        found=$(on_path)
    fi
    if [ -n "$found" ]; then
        [ "$(readlink "$link")" = "$found" ] || ln -sfn "$found" "$link"
    elif [ -L "$link" ] || [ ! -x "$link" ] || [ ! -e ".venv/unpacked/$package" ]; then
        { unpack "$package" && wrap "$link"; } || {
            echo "There is no $name from version $lowest on and below $above. Install one (Debian: apt-get install $package)" >&2
            echo "or name one: make test $variable=/path/to/$name" >&2
            exit 1
        }
    fi
}

# The first program on the PATH that says it is of a version that serves.
on_path() {
    for candidate in $names; do
        path=$(absolute "$candidate") || continue
        version=$(timeout 20 "$path" --version 2>&1 | grep -oE '[0-9]+(\.[0-9]+)+' | head -n 1)
        in_order=$(printf '%s\n' "$lowest" "$version" "$above" | sort -V | tr '\n' ' ')
        [ "$in_order" != "$lowest $version $above " ] || { echo "$path"; return; }
    done
}

absolute() {
    path=$(command -v "$1") && [ -f "$path" ] && [ -x "$path" ] && realpath -s "$path"
}

# The program runs with the libraries that were unpacked next to it.
wrap() {
    libraries=$(cd ".venv/unpacked/$package" && find . -path '*-linux-gnu*' -name 'lib*.so*' -printf '$root/%P\n' |
        sed 's:/[^/]*$::' | sort -u | paste -sd :)
    cat >"$1.draft" <<END
#!/bin/sh
root=\$(dirname "\$(readlink -f "\$0")")/../unpacked/$package
LD_LIBRARY_PATH="$libraries" exec "\$root/$file" "\$@"
END
    chmod +x "$1.draft"
    "$1.draft" --version >/dev/null && mv -fT "$1.draft" "$1"
}

# apt answers from the lists that it has; a new machine has none yet, and only root may fetch them.
unpack() {
    target=.venv/unpacked/$1
    [ ! -e "$target" ] || return 0
    command -v apt-get >/dev/null && command -v dpkg >/dev/null || {
        echo "There is no apt, which would unpack Debian's package $1." >&2
        return 1
    }
    echo "Unpacking Debian's $1 into $target…"
    rm -rf "$target.draft" && mkdir -p "$target.draft" && (
        cd "$target.draft"
        download "$1" 2>/dev/null || { flock .. apt-get -qq update && download "$1"; } || exit 1
        for archive in *.deb; do dpkg -x "$archive" . || exit 1; done
        rm -f -- *.deb
    ) && mv -T "$target.draft" "$target" || {
        echo "Debian's package $1 could not be unpacked (as root: apt-get update)." >&2
        return 1
    }
}

# With no list of what is installed, apt names every dependency, also those that this machine has. The C library is left
# out: it must be the one that this machine's loader belongs to.
download() {
    packages=$(LC_ALL=C apt-get -s -o Dir::State::status=/dev/null install --no-install-recommends "$1" |
        sed -n 's/^Inst \([^ ]*\).*/\1/p' | grep -E "^($1|$1-common|lib.*|fonts-.*)$" | grep -Ev '^libc(6|-.*)$') &&
        apt-get -qq download $packages
}

venv() {
    directory=$1 what=$2
    shift 2
    echo "Installing $what into $directory…"
    rm -rf "$directory"
    if ! "${PYTHON:-python3}" -m venv "$directory"; then
        echo "${PYTHON:-python3} cannot make a virtual environment (Debian: apt-get install python3-venv)." >&2
    elif ! "$directory/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; then
        echo "$what could not be installed; try again when pip reaches its index." >&2
    else
        return 0
    fi
    rm -rf "$directory"
    return 1
}

case ${1:-} in
    program | unpack | venv) "$@" ;;
    *) sed -n 's/^# \{0,1\}//; 2,6p' "$0" >&2; exit 2 ;;
esac
