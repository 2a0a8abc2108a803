// SPDX-License-Identifier: BSD-2-Clause
/*
 * A counterexample as a picture: one line for each step, from top to bottom; the vCPU's CPU on the
 * left, memory in the middle, the other CPU on the right; arrows where a store reaches memory and
 * where a load takes its value from there.
 */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "cli.h"

enum {
	ROW = 20,
	TOP = 74,
	X_STEP = 28,
	X_TSC = 62,
	X_VCPU = 80, /* a lane's left edge */
	X_MEMORY = 370,
	X_OTHER = 530,
	X_NOTE = 800,
	LANE = 260,
	MEMORY = 110,
	WIDTH = 1100
};

static void text(FILE *to, int x, int y, const char *class, const char *s)
{
	fprintf(to, "<text x=\"%d\" y=\"%d\" class=\"%s\">", x, y, class);
	for (; *s; s++) {
		switch (*s) {
		case '<':
			fputs("&lt;", to);
			break;
		case '>':
			fputs("&gt;", to);
			break;
		case '&':
			fputs("&amp;", to);
			break;
		default:
			fputc(*s, to);
			break;
		}
	}
	fputs("</text>\n", to);
}

static void box(FILE *to, int x, int y, int width, const char *class)
{
	fprintf(to, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" class=\"%s\"/>\n", x, y,
		width, ROW - 2, class);
}

static void arrow(FILE *to, int from, int x, int y)
{
	fprintf(to, "<path d=\"M%d %dH%d\" class=\"a\" marker-end=\"url(#t)\"/>\n", from, y, x);
}

static const char *file_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void draw_step(FILE *to, const struct check_step *s, unsigned int i)
{
	static const char *const classes[] = { "g", "h", "h", "c" };
	int y = TOP + (int)i * ROW, middle = y + ROW / 2 - 1, baseline = y + 13;
	bool left = s->lane == CHECK_GUEST || s->lane == CHECK_HOST;
	int x = left ? X_VCPU : X_OTHER;
	char line[2 * CHECK_TEXT];

	snprintf(line, sizeof(line), "%u", i + 1);
	text(to, X_STEP, baseline, "n", line);
	text(to, X_TSC, baseline, "n", check_number(s->clock, line));
	box(to, x, y, LANE, classes[s->lane]);
	text(to, x + 6, baseline, "w", s->what);
	snprintf(line, sizeof(line), "%s:%d", file_name(s->info.file), s->info.line);
	text(to, x + LANE - 4, baseline, "f", line);
	snprintf(line, sizeof(line), "%s  %s", s->armed, s->pending);
	text(to, X_MEMORY + MEMORY / 2, baseline, "m", line);
	if (s->info.op == LAZYTSC_OP_STORE && s->info.step.drain)
		arrow(to, left ? X_VCPU + LANE : X_OTHER, left ? X_MEMORY : X_MEMORY + MEMORY,
		      middle);
	if (s->info.op == LAZYTSC_OP_LOAD && !s->info.forwarded)
		arrow(to, left ? X_MEMORY : X_MEMORY + MEMORY, left ? X_VCPU + LANE : X_OTHER,
		      middle);
	text(to, X_NOTE, baseline, "s", s->then);
}

void check_trace_chart(FILE *to, const struct check_trace *t)
{
	int height = TOP + (int)t->steps * ROW + 40;
	char says[CHECK_TEXT];

	check_trace_says(t, says);
	fprintf(to,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n"
		"<title>%s</title>\n",
		WIDTH, height, WIDTH, height, t->subject.name);
	fputs("<style>text{font:12px sans-serif;fill:#222}.n{text-anchor:end;fill:#777}"
	      ".f{text-anchor:end;fill:#888;font-size:10px}.m{text-anchor:middle;"
	      "font-family:monospace;white-space:pre}.s{fill:#a03000}.t{font-weight:bold}"
	      ".g{fill:#dcebfa}.h{fill:#fbe8c8}.c{fill:#eee}"
	      ".a{stroke:#444;fill:none}</style>\n"
	      "<defs><marker id=\"t\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" "
	      "markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\"/></marker></defs>\n",
	      to);
	fprintf(to, "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n", WIDTH, height);
	text(to, X_VCPU, 22, "t", t->subject.name);
	text(to, X_TSC, 60, "n", "TSC");
	text(to, X_VCPU, 60, "t", "the vCPU's CPU: guest (blue), host");
	text(to, X_MEMORY + MEMORY / 2, 46, "m", "memory");
	text(to, X_MEMORY + MEMORY / 2, 62, "m", "armed pending");
	text(to, X_OTHER, 60, "t", "another CPU; clock and LAPIC (grey)");
	for (unsigned int i = 0; i < t->steps; i++)
		draw_step(to, &t->step[i], i);
	text(to, X_VCPU, TOP + (int)t->steps * ROW + 24, "t", says);
	fputs("</svg>\n", to);
}

int check_trace_draw(const char *file, const struct check_trace *t)
{
	struct cli_file f;

	if (!cli_create(&f, file))
		return CLI_BAD_INPUT;
	check_trace_chart(f.to, t);
	return cli_commit(&f) ? CLI_OK : CLI_BAD_INPUT;
}
