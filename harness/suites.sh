# SPDX-License-Identifier: BSD-2-Clause
#
# For scripts to source: packages of Debian suites that are newer than the machine's own, from the
# archive that the machine's own package lists name, and verified by debian-archive-keyring. Nothing
# is installed, and the machine's lists are left alone. The script that sources this has a die().
#
#   suites_open DIR SUITE...   update the lists of these suites, below DIR; of source packages as
#                              well where suites_types is "deb deb-src"
#   suites_apt COMMAND ARG...  apt-get or apt-cache with those lists
#   suites_get PACKAGE...      download the packages into DIR/packages, in place of what was there
#   suites_source PACKAGE      the same for a source package
#   suites_close               forget the lists
# shellcheck shell=bash

suites_open()
{
	local keyring=/usr/share/keyrings/debian-archive-keyring.gpg suite type

	suites_dir=$1
	shift
	command -v apt-get >/dev/null || die "not a Debian system"
	suites_uri=$(apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
		awk '$1 == "Debian" && $2 == "main" && $3 !~ /security/ { print $3; exit }')
	[ -n "$suites_uri" ] || die "no list of Debian's main archive on this machine; run apt-get update"
	[ -e "$keyring" ] || die "$keyring: not found; install debian-archive-keyring"
	mkdir -p "$suites_dir/lists/partial" "$suites_dir/cache/archives/partial"
	for suite; do
		for type in ${suites_types:-deb}; do
			echo "$type [signed-by=$keyring] $suites_uri $suite main"
		done
	done >"$suites_dir/sources.list"
	suites_options=(-q -o "Dir::Etc::sourcelist=$suites_dir/sources.list" -o Dir::Etc::sourceparts=-
		-o Dir::Etc::preferencesparts=- -o Dir::Etc::preferences=- -o "Dir::State::Lists=$suites_dir/lists"
		-o "Dir::Cache=$suites_dir/cache" -o Dir::State::status=/dev/null -o APT::Sandbox::User=
		-o Acquire::Languages=none)
	suites_apt apt-get update >"$suites_dir/apt.log" 2>&1 </dev/null || {
		tail -5 "$suites_dir/apt.log" >&2
		die "$suites_uri: apt-get update failed, see $suites_dir/apt.log"
	}
}

suites_apt()
{
	local command=$1

	shift
	"$command" "${suites_options[@]}" "$@"
}

suites_download()
{
	rm -rf "$suites_dir/packages"
	mkdir "$suites_dir/packages"
	(cd "$suites_dir/packages" && suites_apt apt-get "$@") >>"$suites_dir/apt.log" 2>&1 </dev/null || {
		tail -5 "$suites_dir/apt.log" >&2
		die "apt-get $*: failed, see $suites_dir/apt.log"
	}
}

suites_get()
{
	suites_download download "$@"
}

suites_source()
{
	suites_download source --download-only "$@"
}

suites_close()
{
	rm -rf "$suites_dir/packages" "$suites_dir/lists" "$suites_dir/cache"
}
