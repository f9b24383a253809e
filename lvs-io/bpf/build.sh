#!/bin/sh
# Compiles steer.bpf.c (with packet.h and headers.h) to steer.bpf.o, the object lvs-io carries.
#
#   build.sh           writes steer.bpf.o
#   build.sh --check   compiles elsewhere and fails if the committed object
#                      is not what this source gives
#
# The reference compiler is clang 14, Debian 12's: each version of clang gives
# other code, so the check means something with that one only. CLANG names
# another binary of it. The object does not depend on where it is built.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
wanted=14
clang=${CLANG:-clang-$wanted}
command -v "$clang" >/dev/null 2>&1 || clang=clang

compile() { # to
    # -nostdinc would lose <linux/bpf.h>; it includes <asm/types.h>, which
    # Debian keeps under the machine's own name. No -g: debug information
    # carries paths, and nothing in it is needed to load the program.
    (cd "$here" && "$clang" -target bpfel -mcpu=v3 -O2 -std=gnu11 \
        -Wall -Wextra -Werror -fno-ident -fno-addrsig \
        -I"/usr/include/$(uname -m)-linux-gnu" \
        -c steer.bpf.c -o "$1")
}

found=$("$clang" -dumpversion | cut -d. -f1)
if [ "$found" != "$wanted" ]; then
    echo "build.sh: $clang is version $found; the object is built with clang $wanted" >&2
    echo "build.sh: (Debian 12: apt-get install clang-$wanted; or set CLANG)" >&2
    exit 1
fi

case "${1:-}" in
"")
    compile "$here/steer.bpf.o"
    ;;
--check)
    fresh=$(mktemp -d)
    trap 'rm -rf "$fresh"' EXIT
    compile "$fresh/steer.bpf.o"
    if ! cmp "$fresh/steer.bpf.o" "$here/steer.bpf.o"; then
        echo "build.sh: steer.bpf.o is not what steer.bpf.c gives; run lvs-io/bpf/build.sh and commit it" >&2
        exit 1
    fi
    ;;
*)
    echo "usage: build.sh [--check]" >&2
    exit 2
    ;;
esac
