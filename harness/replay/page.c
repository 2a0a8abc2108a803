// SPDX-License-Identifier: BSD-2-Clause
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "page.h"

/* page.html, as it is at build time, and a zero behind it. */
__asm__(".pushsection .rodata\n"
	".globl page_html\n"
	".hidden page_html\n"
	"page_html: .incbin \"" PAGE_HTML "\"\n"
	".byte 0\n"
	".popsection\n");
extern const char page_html[] __attribute__((visibility("hidden")));

/* Where the data goes. */
static const char place[] = "@DATA@";

struct page {
	struct cli_file file;
	struct replay_step *steps;
	size_t nsteps, room;
	uint64_t all; /* steps that there were */
};

struct page *page_open(const char *path)
{
	struct page *p = cli_alloc(1, sizeof(*p));

	if (cli_create(&p->file, path))
		return p;
	free(p);
	return NULL;
}

void page_step(struct page *p, const struct replay_step *step)
{
	p->all++;
	if (p->nsteps == PAGE_STEPS)
		return;
	if (p->nsteps == p->room) {
		p->room = p->room ? 2 * p->room : 256;
		p->steps = cli_grow(p->steps, p->room, sizeof(*p->steps));
	}
	p->steps[p->nsteps++] = *step;
}

static json_t *numbers(const uint64_t *v, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_integer((json_int_t)v[i]));
	return list;
}

/* Each [time, kind, vCPU, until armed, until pending], us. */
static json_t *steps(const struct page *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->nsteps; i++) {
		const struct replay_step *s = &p->steps[i];

		json_array_append_new(list, json_pack("[f,i,i,f,f]", s->ns / 1000, (int)s->kind,
						      (int)s->vcpu, s->armed_ns / 1000,
						      s->pending_ns / 1000));
	}
	return list;
}

static json_t *pictures(const struct page *p, const struct replay *r,
			const struct report_options *o)
{
	json_t *root = json_object(), *over = json_object(), *kinds = json_array();
	json_t *vcpus = json_object();
	char key[16];

	for (size_t i = 0; i < o->shown && r->slices.entries; i++) {
		if (r->policies[i].is_replay)
			json_object_set_new(over, r->policies[i].name,
					    numbers(r->slices.entries[i], SLICES));
	}
	for (size_t i = 0; i < REPLAY_STEPS; i++)
		json_array_append_new(kinds, json_string(replay_step_names[i]));
	for (size_t i = 0; i < r->nvcpus; i++) {
		snprintf(key, sizeof(key), "%u", r->vcpus[i].step_vcpu);
		json_object_set_new(vcpus, key, json_string(r->vcpus[i].name));
	}
	json_object_set_new(root, "slice_ms", json_real(r->slices.slice_ns / 1e6));
	json_object_set_new(root, "entries", over);
	json_object_set_new(root, "late", numbers(r->late, HIST_BUCKETS));
	json_object_set_new(root, "khz", json_real(r->clock.khz));
	json_object_set_new(root, "steps", steps(p));
	json_object_set_new(root, "all_steps", json_integer((json_int_t)p->all));
	json_object_set_new(root, "kinds", kinds);
	json_object_set_new(root, "step_vcpus", vcpus);
	json_object_set_new(root, "variant", json_string(r->policies[r->observed].name));
	return root;
}

/* Within a script element, where "</script>" or "<!--" of a file's name would end it. */
static void print_data(FILE *to, json_t *data)
{
	char *text = json_dumps(data, JSON_COMPACT | JSON_REAL_PRECISION(12));

	if (!text)
		cli_no_memory();
	for (const char *c = text; *c; c++) {
		if (*c == '<')
			fputs("\\u003c", to);
		else
			fputc(*c, to);
	}
	free(text);
}

bool page_close(struct page *p, const char *name, const struct replay *r,
		const struct report_options *o)
{
	char command[] = "lazytsc replay", *argv[] = { command };
	struct report_options with_hist = *o;
	const char *at = strstr(page_html, place);
	json_t *data;
	bool good;

	with_hist.hist = true;
	/* Its arguments are the file's own name, too: a page is the same wherever it is written. */
	data = report_json_new(&with_hist, 1, argv);
	report_json_add(data, name, r, &with_hist);
	json_object_set_new(data, "pictures", pictures(p, r, o));
	fwrite(page_html, 1, (size_t)(at - page_html), p->file.to);
	print_data(p->file.to, data);
	fputs(at + strlen(place), p->file.to);
	json_decref(data);
	good = cli_commit(&p->file);
	free(p->steps);
	free(p);
	return good;
}

void page_discard(struct page *p)
{
	cli_discard(&p->file);
	free(p->steps);
	free(p);
}
