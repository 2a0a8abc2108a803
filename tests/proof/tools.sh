#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Fetch the provers that the machine's own Debian release does not have.
set -euo pipefail

usage()
{
	cat <<-END
	usage: tools.sh cbmc | herd

	cbmc  unpacks CBMC of Debian trixie
	herd  unpacks herd7 (herdtools7) of Debian sid, and the kernel's memory model out of the source
	      package that the kernel tests build
	Each runs with the C library of its own suite. Nothing is installed, and the machine's package
	lists are left alone. Prints the path of the program; for herd, beside it, memory-model/.
	What was unpacked is kept.

	environment:
	  LAZYTSC_PROOF_DIR  where it goes (default: build/proof of this source tree)

	exit status: 0 there; 1 usage; 2 the archive cannot be reached, or what it has does not run
	END
}

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
dir=${LAZYTSC_PROOF_DIR:-$top/build/proof}

die()
{
	echo "tools.sh: $*" >&2
	exit 2
}
. "$top/harness/suites.sh"

[ $# = 1 ] || { usage >&2; exit 1; }
# shellcheck disable=SC2016
case $1 in
cbmc) suite=trixie packages="cbmc minisat libc6 libgcc-s1 libstdc++6 zlib1g" program=cbmc probe=--version arguments= ;;
herd) suite=sid packages="herdtools7 libc6 libgmp10" program=herd7 probe=-version arguments=' -set-libdir "$d/usr/share/herdtools7/herd"' ;;
-h | --help) usage; exit 0 ;;
*) usage >&2; exit 1 ;;
esac

# unpack_model: the memory model of the kernel's source, into the directory $1
unpack_model()
{
	local source=/usr/src/linux-source-6.12.tar.xz

	if [ ! -e "$source" ]; then
		(cd "$1" && apt-get download -q linux-source-6.12 && dpkg-deb -x linux-source-6.12_*.deb .) \
			>"$dir/model.log" 2>&1 </dev/null || die "linux-source-6.12: cannot be fetched, see $dir/model.log"
		source=$1$source
	fi
	tar -C "$1" --strip-components=2 -xf "$source" linux-source-6.12/tools/memory-model/ ||
		die "$source: no tools/memory-model"
	rm -rf "$1"/usr/src "$1"/linux-source-6.12_*.deb
}

mkdir -p "$dir"
exec 9>"$dir/lock"
flock 9
home=$dir/$1
if [ ! -x "$home/$program" ]; then
	echo "tools.sh: fetching $1 of Debian $suite" >&2
	suites_open "$dir/apt" "$suite"
	# shellcheck disable=SC2086
	suites_get $packages
	rm -rf "$home.new"
	mkdir "$home.new"
	for package in "$dir"/apt/packages/*.deb; do
		dpkg-deb -x "$package" "$home.new"
	done
	find "$home.new/usr/bin" -type f ! -name "$program" -delete
	suites_close
	[ "$1" != herd ] || unpack_model "$home.new"
	loader=$(cd "$home.new" && find . -name 'ld-linux-x86-64.so.2' ! -type l | head -1)
	[ -n "$loader" ] || die "no loader in libc6 of $suite"
	# By the loader's name, not by the environment: cbmc starts the machine's own gcc.
	cat >"$home.new/$program" <<-END
	#!/bin/sh
	d=\$(dirname "\$(readlink -f "\$0")")
	exec "\$d/$loader" --library-path "\$d/${loader%/*}:\$d/usr/lib/x86_64-linux-gnu:\$d/usr/lib" "\$d/usr/bin/$program"$arguments "\$@"
	END
	chmod +x "$home.new/$program"
	"$home.new/$program" "$probe" >"$dir/$1.version" 2>&1 || {
		cat "$dir/$1.version" >&2
		die "$program of $suite does not run here"
	}
	rm -rf "$home"
	mv "$home.new" "$home"
fi
echo "$home/$program"
