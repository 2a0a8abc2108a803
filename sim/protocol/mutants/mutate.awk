# SPDX-License-Identifier: BSD-2-Clause
# Reads a list of defects (sim/protocol/mutants/core.list and sim/protocol/mutants/defects.list tell the format) and
# writes a copy of the core for each that changes it, and a table of them all.
#
# awk -v core=DIR -v variant=HEADER -v out=DIR -v table=NAME -f mutate.awk LIST
# HEADER is <lazytsc/sim/variant.h>, whose LAZYTSC_VARIANT_FUNCTIONS are what gets a name of its own.
# Prints the names of the files it has written. Fails where a line is not found exactly once.

function die(what)
{
	printf "%s:%d: %s: %s\n", FILENAME, FNR, name, what >"/dev/stderr"
	failed = 1
	exit 1
}

function trim(s)
{
	sub(/^[ \t]+/, "", s)
	sub(/[ \t]+$/, "", s)
	return s
}

function quote(s)
{
	gsub(/\\/, "\\\\", s)
	gsub(/"/, "\\\"", s)
	return "\"" s "\""
}

# Replaces the pairs of this record in the text of one core file. Sets at[] to line numbers.
function mutate(file, to,    path, l, n, inside, i, k, hits, line)
{
	path = core "/" file
	n = 0
	printf "#line 1 \"core/%s\"\n", file >to
	while ((getline line <path) > 0)
		l[++n] = line
	close(path)
	if (!n)
		die("cannot read " path)
	for (k = 1; k <= pairs; k++) {
		if (in_file[k] != file)
			continue
		hits = 0
		inside = 0
		for (i = 1; i <= n; i++) {
			if (l[i] ~ ("^[a-z].*[ *]" in_function[k] "\\("))
				inside = 1
			if (inside && trim(l[i]) == was[k]) {
				hits++
				at[k] = i
			}
			if (inside && l[i] == "}")
				inside = 0
		}
		if (hits != 1)
			die(file ": " in_function[k] "(): " hits " lines are '" was[k] "', not 1")
		l[at[k]] = "\t" is[k]
	}
	for (i = 1; i <= n; i++)
		print l[i] >to
}

# The functions of a variant get names of their own, so that the copies can be linked together.
function rename_functions(to,    line, n)
{
	while ((getline line <variant) > 0) {
		if (line !~ /^\tX\([a-z_]+\)/)
			continue
		sub(/^\tX\(/, "", line)
		sub(/\).*/, "", line)
		printf "#define lazytsc_%s MUTANT(%s)\n", line, line >to
		n++
	}
	close(variant)
	if (!n)
		die("no LAZYTSC_VARIANT_FUNCTIONS in '" variant "'")
}

function write_copy(    to, id)
{
	id = name
	gsub(/-/, "_", id)
	to = out "/" name ".c"
	print "/* Generated from " FILENAME "; do not edit. */" >to
	print "#define MUTANT_ID " id >to
	rename_functions(to)
	print "#include \"mutant_begin.h\"" >to
	mutate("guest.c", to)
	mutate("host.c", to)
	printf "#line 1 \"%s\"\n", name ".c" >to
	printf "#define MUTANT_NAME %s\n#define MUTANT_SUMMARY %s\n", quote(name), quote(field["what"]) >to
	print "#include \"mutant_end.h\"" >to
	close(to)
	print to
	externs = externs "extern const struct lazytsc_variant lazytsc_mutant_" id ";\n"
	return "&lazytsc_mutant_" id
}

function finish(    variant, k)
{
	if (name == "")
		return
	if (field["requirement"] == "" || field["what"] == "")
		die("needs 'what' and 'requirement'")
	variant = pairs ? write_copy() : "&lazytsc_variant_" (field["variant"] == "" ? "lazy" : field["variant"])
	entries = entries "\t{\n\t\t.name = " quote(name) ",\n\t\t.from = " quote(field["from"]) \
		",\n\t\t.what = " quote(field["what"]) ",\n\t\t.because = " quote(field["because"]) \
		",\n\t\t.requirement = " quote(field["requirement"]) \
		",\n\t\t.scenario = " (field["scenario"] == "" ? "NULL" : quote(field["scenario"])) \
		",\n\t\t.variant = " variant ",\n\t\t.glue = LAZYTSC_GLUE_" \
		(field["glue"] == "" ? "SOUND" : field["glue"]) ",\n"
	if (pairs)
		entries = entries "\t\t.file = " quote("core/" in_file[1]) ",\n\t\t.function = " \
			quote(in_function[1]) ",\n\t\t.line = " at[1] ",\n\t\t.was = " quote(was[1]) \
			",\n\t\t.is = " quote(is[1]) ",\n"
	entries = entries "\t},\n"
	split("", field)
	split("", at)
	pairs = 0
	file = fn = name = ""
}

/^#/ || /^[ \t]*$/ { next }

{
	key = $1
	value = trim(substr($0, length(key) + 1))
}

key == "defect" {
	finish()
	name = value
	if (seen[name]++)
		die("there are two of this name")
	next
}
key == "file" { file = value; next }
key == "function" { fn = value; next }
key == "line" {
	if (file == "" || fn == "")
		die("'line' without 'file' and 'function'")
	if (file != "guest.c" && file != "host.c")
		die("no copies are made of '" file "'")
	was[++pairs] = value
	is[pairs] = ""
	in_file[pairs] = file
	in_function[pairs] = fn
	next
}
key == "with" { is[pairs] = value; next }
key ~ /^(from|what|because|requirement|scenario|variant|glue)$/ {
	field[key] = field[key] == "" ? value : field[key] " " value
	next
}
{ die("what is '" key "'?") }

END {
	if (failed)
		exit 1
	finish()
	to = out "/" table ".c"
	print "/* Generated from " FILENAME "; do not edit. */" >to
	print "#include <stddef.h>\n#include <lazytsc/sim/defect.h>\n" >to
	print externs >to
	printf "const struct lazytsc_defect %s[] = {\n%s\t{ .name = NULL },\n};\n", table, entries >to
	close(to)
	print to
}
