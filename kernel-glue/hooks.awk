# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Apply one file of hooks to a Linux tree of one version:
#
#   awk -v version=6.12 -v tree=TREE -v over=DIR -v out=DIR -f hooks.awk FILE.hooks
#
# writes each file that the hooks change below out, as it is changed; tree is only read, and what is
# below over stands for the same file in the tree. A file of
# hooks is a patch whose hunks name their place in words, because line numbers and the lines around
# differ from version to version:
#
#   text                  before the first ===: the commit's message, and comments (#)
#   === PATH [| PATH]...  the file; of several the one that has the place (code that has moved)
#   @@ PLACE              the definition whose first line has this text, up to its closing brace at
#                         the line's start; without one, the whole file
#   @@ [VERSION...] PLACE only for these versions of Linux
#   ' ', -, +             as in a patch. The lines that stay and those that go must stand in the
#                         place exactly once
#
# Exit status: 0 done; 2 a hook does not fit, with one line that says which.

function fail(at, what)
{
	name = FILENAME
	sub(/.*\//, "", name)
	print name ":" at ": " what >"/dev/stderr"
	failed = 1
	exit 2
}

# Returns how many lines the file has, -1 where there is none.
function read_lines(from, path,   n, line, got)
{
	n = 0
	while ((got = (getline line <from)) > 0)
		text[path, ++n] = line
	close(from)
	return got < 0 ? -1 : n
}

# The file's lines, as earlier hooks left them. Returns as read_lines() does.
function load(path)
{
	if (!(path in lines)) {
		lines[path] = read_lines(over "/" path, path)
		if (lines[path] < 0)
			lines[path] = read_lines(tree "/" path, path)
	}
	return lines[path]
}

# Where the place is: from first to last. Returns how many such definitions there are.
function find_place(path,   n, i, j, found)
{
	n = load(path)
	first = 1
	last = n
	if (n < 0 || place == "")
		return n >= 0
	for (i = 1; i <= n; i++) {
		if (!index(text[path, i], place) || text[path, i] !~ /^[a-z]/)
			continue
		for (j = i; j <= n && text[path, j] !~ /[;{]$/; j++)
			;
		if (j > n || text[path, j] ~ /;$/)
			continue # a declaration
		found++
		first = i
		while (j <= n && text[path, j] !~ /^}/)
			j++
		last = j
	}
	return found
}

# How often the old lines stand in the place; `where` is before the first of them.
function find_lines(path,   i, j, found)
{
	for (i = first; i + nold - 1 <= last; i++) {
		for (j = 1; j <= nold && text[path, i + j - 1] == old[j]; j++)
			;
		if (j > nold) {
			found++
			where = i - 1
		}
	}
	return found
}

function apply_hook(   n, i, paths, path, defined, places, found, by)
{
	if (!at)
		return
	n = split(file, paths, / *\| */)
	for (i = 1; i <= n; i++) {
		defined = find_place(paths[i])
		if (!defined)
			continue
		if (defined > 1)
			fail(at, paths[i] ": more than one definition of: " place)
		places++
		if (find_lines(paths[i]) == 1) {
			path = paths[i]
			by = where
			found++
		} else if (n == 1)
			fail(at, file ": " (find_lines(path = paths[1]) ? "more than one place has" : "no place has") " these lines")
	}
	if (!places)
		fail(at, file ": " (load(paths[1]) < 0 && n == 1 ? "no such file" : "no definition of: " place))
	if (found != 1)
		fail(at, file ": " (found ? "more than one place has" : "no place has") " these lines")
	n = lines[path]
	if (nnew > nold)
		for (i = n; i > by + nold; i--)
			text[path, i + nnew - nold] = text[path, i]
	else
		for (i = by + nold + 1; i <= n; i++)
			text[path, i + nnew - nold] = text[path, i]
	for (i = 1; i <= nnew; i++)
		text[path, by + i] = new[i]
	lines[path] = n + nnew - nold
	changed[path] = 1
	at = 0
}

/^=== / {
	apply_hook()
	file = substr($0, 5)
	next
}
file == "" { next } # the message
/^@@/ {
	apply_hook()
	place = substr($0, 4)
	wanted = 1
	if (match(place, /^\[[^\]]*\] ?/)) {
		wanted = index(" " substr(place, 2, RLENGTH) " ", " " version "]") ||
			 index(" " substr(place, 2, RLENGTH) " ", " " version " ")
		place = substr(place, RLENGTH + 1)
	}
	if (wanted)
		at = FNR
	nold = nnew = 0
	next
}
{
	kind = substr($0, 1, 1)
	if (kind !~ /^[ +-]?$/)
		fail(FNR, "neither a hunk's line nor a heading: " $0)
	if (kind != "+")
		old[++nold] = substr($0, 2)
	if (kind != "-")
		new[++nnew] = substr($0, 2)
}
END {
	if (!failed)
		apply_hook()
	if (failed)
		exit 2
	for (path in changed) {
		to = out "/" path
		folder = to
		sub(/\/[^\/]*$/, "", folder)
		gsub(/'/, "'\\''", folder)
		system("mkdir -p '" folder "'")
		for (i = 1; i <= lines[path]; i++)
			print text[path, i] >to
		close(to)
	}
}
