// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <trace-cmd/trace-cmd.h>

#include "dat.h"

#define DEADLINE_MSR 0x6e0
#define MAX_FIELDS   4

enum event {
	WRITE,
	GLUE_WRITE,
	SKIP,
	REARM,
	KVM_MSR,
	KVM_EXIT,
	KVM_ENTRY,
	KVM_IRQ,
	IRQ,
	IDLE,
	EVENTS
};

static const struct {
	const char *system, *name;
	const char *fields[MAX_FIELDS];
} events[EVENTS] = {
	[WRITE] = { "msr", "write_msr", { "msr", "val", "failed" } },
	[GLUE_WRITE] = { "lazytsc", "lazytsc_write", { "deadline" } },
	[SKIP] = { "lazytsc", "lazytsc_skip", { "deadline" } },
	[REARM] = { "timer", "hrtimer_rearm", { "next_event" } },
	[KVM_MSR] = { "kvm", "kvm_msr", { "ecx", "data", "exception", "write" } },
	[KVM_EXIT] = { "kvm", "kvm_exit", { "exit_reason", "isa", "info1", "vcpu_id" } },
	[KVM_ENTRY] = { "kvm", "kvm_entry", { "vcpu_id" } },
	[KVM_IRQ] = { "kvm", "kvm_apic_accept_irq", { "vec" } },
	[IRQ] = { "irq_vectors", "local_timer_entry", { NULL } },
	[IDLE] = { "power", "cpu_idle", { "state" } },
};

/* One CPU of one buffer: its next record. */
struct source {
	struct buffer *buffer;
	int cpu;
	struct tep_record *record;
};

struct buffer {
	struct tracecmd_input *handle;
	struct tep_handle *tep;
	const char *name; /* NULL: the main one */
	struct {
		int id; /* -1: the file has no such event */
		struct tep_format_field *field[MAX_FIELDS];
	} event[EVENTS];
};

struct reader {
	struct tracecmd_input *handle;
	struct buffer *buffers;
	int nbuffers;
	struct source *heap; /* the earliest first */
	size_t nheap;
	bool lost; /* events were lost before the earliest record; it has not been handed out */
};

static bool earlier(const struct source *a, const struct source *b)
{
	return a->record->ts < b->record->ts;
}

/* Move the heap's @i-th source to where it belongs, down from there. */
static void sift(struct reader *d, size_t i)
{
	for (;;) {
		size_t least = i, l = 2 * i + 1;
		struct source tmp;

		for (size_t k = l; k < l + 2 && k < d->nheap; k++) {
			if (earlier(&d->heap[k], &d->heap[least]))
				least = k;
		}
		if (least == i)
			return;
		tmp = d->heap[i];
		d->heap[i] = d->heap[least];
		d->heap[least] = tmp;
		i = least;
	}
}

static void find_events(struct buffer *b)
{
	b->tep = tracecmd_get_tep(b->handle);
	for (int i = 0; i < EVENTS; i++) {
		struct tep_event *e =
			tep_find_event_by_name(b->tep, events[i].system, events[i].name);

		b->event[i].id = e ? e->id : -1;
		for (int k = 0; e && k < MAX_FIELDS && events[i].fields[k]; k++)
			b->event[i].field[k] = tep_find_field(e, events[i].fields[k]);
	}
}

static bool open_buffers(struct reader *d)
{
	int n = tracecmd_buffer_instances(d->handle);

	d->buffers = calloc((size_t)(n < 0 ? 0 : n) + 1, sizeof(*d->buffers));
	if (!d->buffers)
		return false;
	d->buffers[d->nbuffers++].handle = d->handle;
	for (int i = 0; i < n; i++) {
		struct tracecmd_input *h = tracecmd_buffer_instance_handle(d->handle, i);

		if (!h)
			return false;
		d->buffers[d->nbuffers].name = tracecmd_buffer_instance_name(d->handle, i);
		d->buffers[d->nbuffers++].handle = h;
	}
	for (int i = 0; i < d->nbuffers; i++)
		find_events(&d->buffers[i]);
	/* How pages begin; where this is damaged, the library finds a part of the records. */
	return tep_get_header_timestamp_size(d->buffers->tep) == 8 &&
	       (tep_get_header_page_size(d->buffers->tep) == 8 ||
		tep_get_header_page_size(d->buffers->tep) == 4);
}

static bool open_sources(struct reader *d)
{
	size_t room = 0;

	for (int i = 0; i < d->nbuffers; i++) {
		int cpus = tep_get_cpus(d->buffers[i].tep);

		if (cpus < 0 || cpus > TRACE_MAX_CPUS)
			return false;
		room += (size_t)cpus;
	}
	d->heap = calloc(room + 1, sizeof(*d->heap));
	if (!d->heap)
		return false;
	for (int i = 0; i < d->nbuffers; i++) {
		for (int cpu = 0; cpu < tep_get_cpus(d->buffers[i].tep); cpu++) {
			struct tep_record *r = tracecmd_read_data(d->buffers[i].handle, cpu);

			if (r)
				d->heap[d->nheap++] = (struct source){ &d->buffers[i], cpu, r };
		}
	}
	for (size_t i = d->nheap; i-- > 0;)
		sift(d, i);
	return true;
}

static bool open_file(struct reader *d, int fd)
{
	tracecmd_set_loglevel(TEP_LOG_NONE);
	tep_set_loglevel(TEP_LOG_NONE);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return false;
	d->handle = tracecmd_open_fd(fd, TRACECMD_FL_LOAD_NO_PLUGINS);
	return d->handle && open_buffers(d) && open_sources(d);
}

static uint64_t number(const struct buffer *b, enum event e, int field, const struct tep_record *r,
		       uint64_t missing)
{
	struct tep_format_field *f = b->event[e].field[field];
	unsigned long long v;

	if (!f || f->offset + f->size > r->size || tep_read_number_field(f, r->data, &v))
		return missing;
	return v;
}

static void read_thread(struct buffer *b, struct tep_record *r, struct trace_line *l)
{
	const char *comm;
	int pid = tep_data_pid(b->tep, r);

	l->tid = pid;
	l->pid = -1;
	comm = tep_data_comm_from_pid(b->tep, pid);
	l->vcpu = comm ? trace_line_vcpu(comm, strlen(comm)) : -1;
	l->task = comm;
	l->task_len = comm ? strlen(comm) : 0;
}

/* What the record is; the rest of @l is set where it is of use. */
static void read_record(struct buffer *b, struct tep_record *r, struct trace_line *l)
{
	int id = tep_data_type(b->tep, r), e = 0;
	uint64_t n;

	while (e < EVENTS && (b->event[e].id < 0 || b->event[e].id != id))
		e++;
	l->kind = TRACE_LINE_OTHER_EVENT;
	switch (e) {
	case WRITE:
	case KVM_MSR:
		l->kind = TRACE_LINE_OTHER_MSR;
		if (number(b, e, 0, r, 0) != DEADLINE_MSR || !b->event[e].field[1] ||
		    (e == KVM_MSR && !number(b, e, 3, r, 1)))
			return;
		l->value = number(b, e, 1, r, 0);
		l->kind = number(b, e, 2, r, 0) ? TRACE_LINE_FAILED
			  : e == WRITE		? TRACE_LINE_WRITE
						: TRACE_LINE_HOST_WRITE;
		if (e == KVM_MSR)
			read_thread(b, r, l);
		break;
	case GLUE_WRITE:
	case SKIP:
		l->kind = e == SKIP ? TRACE_LINE_SKIP : TRACE_LINE_WRITE;
		l->value = number(b, (enum event)e, 0, r, 0);
		break;
	case REARM:
		l->kind = TRACE_LINE_REARM;
		l->value = number(b, e, 0, r, 0);
		if (l->value >= INT64_MAX)
			l->value = 0;
		break;
	case KVM_EXIT:
	case KVM_ENTRY:
		l->kind = TRACE_LINE_VCPU;
		read_thread(b, r, l);
		n = number(b, e, e == KVM_EXIT ? 3 : 0, r, UINT64_MAX);
		if (n < TRACE_MAX_CPUS)
			l->vcpu = (int)n;
		l->exit = TRACE_EXIT_NONE;
		if (e == KVM_EXIT)
			l->exit = trace_line_exit(number(b, e, 0, r, UINT32_MAX),
						  number(b, e, 1, r, 1), number(b, e, 2, r, 0));
		break;
	case KVM_IRQ:
		if (!trace_line_is_timer(number(b, e, 0, r, 0)))
			return;
		l->kind = TRACE_LINE_HOST_IRQ;
		read_thread(b, r, l);
		break;
	case IRQ:
		l->kind = TRACE_LINE_TIMER_IRQ;
		break;
	case IDLE:
		l->kind = TRACE_LINE_IDLE;
		l->value = number(b, e, 0, r, 0);
		if (l->value == UINT32_MAX)
			l->value = UINT64_MAX;
		break;
	default:
		return;
	}
	if (l->kind == TRACE_LINE_WRITE || l->kind == TRACE_LINE_SKIP ||
	    l->kind == TRACE_LINE_REARM) {
		l->task = tep_data_comm_from_pid(b->tep, tep_data_pid(b->tep, r));
		l->task_len = l->task ? strlen(l->task) : 0;
	}
}

/* The next record. Return: false at the end. */
static bool next_record(struct reader *d, struct trace_line *l)
{
	struct source *s = d->heap;
	struct tep_record *r;

	if (!d->nheap)
		return false;
	r = s->record;
	*l = (struct trace_line){ .cycles = true,
				  .cpu = (unsigned int)s->cpu,
				  .ts = r->ts,
				  .label = s->buffer->name,
				  .tid = -1,
				  .pid = -1,
				  .vcpu = -1,
				  .value_digits = 16 };
	l->label_len = l->label ? strlen(l->label) : 0;
	if (r->missed_events && !d->lost) {
		d->lost = true;
		l->kind = TRACE_LINE_LOST;
		l->value = r->missed_events > 0 ? (uint64_t)r->missed_events : 0;
		return true;
	}
	d->lost = false;
	read_record(s->buffer, r, l);
	tracecmd_free_record(r);
	s->record = tracecmd_read_data(s->buffer->handle, s->cpu);
	if (!s->record)
		*s = d->heap[--d->nheap];
	sift(d, 0);
	return true;
}

/* --- Two processes --- */

/*
 * libtracecmd may crash on a damaged file, so a child reads it, and writes this for each record,
 * followed by the two names. One of kind TRACE_LINE_KINDS is the end.
 */
struct message {
	struct trace_line line; /* its pointers are the child's */
	uint32_t label_len, task_len;
};

#define NAME_SIZE 256

struct trace_dat {
	FILE *from;
	pid_t child;
	bool end;
	char label[NAME_SIZE], task[NAME_SIZE];
};

static void send(FILE *to, const struct trace_line *l)
{
	struct message m = { .line = *l };

	m.label_len = (uint32_t)(l->label_len < NAME_SIZE ? l->label_len : NAME_SIZE - 1);
	m.task_len = (uint32_t)(l->task_len < NAME_SIZE ? l->task_len : NAME_SIZE - 1);
	fwrite(&m, sizeof(m), 1, to);
	fwrite(l->label ? l->label : "", 1, m.label_len, to);
	fwrite(l->task ? l->task : "", 1, m.task_len, to);
}

/* In the child. Does not return. */
_Noreturn static void serve(int fd, int out)
{
	unsigned int low = (unsigned int)(fd < out ? fd : out);
	unsigned int high = (unsigned int)(fd < out ? out : fd);
	FILE *to = fdopen(out, "w");
	struct reader d = { 0 };
	struct trace_line l;

	/*
	 * Pipes of traces that other threads read are theirs alone: a second writer would hide the
	 * end of the first.
	 */
	if (low > STDERR_FILENO + 1)
		close_range(STDERR_FILENO + 1, low - 1, 0);
	if (high > low + 1)
		close_range(low + 1, high - 1, 0);
	close_range(high + 1, ~0U, 0);
	/* What the library has to complain of is said in one line by the parent. */
	if (!to || dup2(open("/dev/null", O_WRONLY), STDERR_FILENO) < 0 || !open_file(&d, fd))
		_exit(1);
	while (next_record(&d, &l) && !ferror(to))
		send(to, &l);
	l = (struct trace_line){ .kind = TRACE_LINE_KINDS };
	send(to, &l);
	_exit(fflush(to) ? 1 : 0);
}

struct trace_dat *trace_dat_open(int fd)
{
	struct trace_dat *d = calloc(1, sizeof(*d));
	int fds[2];

	if (!d || pipe2(fds, O_CLOEXEC)) {
		free(d);
		return NULL;
	}
	d->child = fork();
	if (d->child == 0)
		serve(fd, fds[1]);
	close(fds[1]);
	d->from = d->child > 0 ? fdopen(fds[0], "r") : NULL;
	if (!d->from) {
		close(fds[0]);
		trace_dat_close(d);
		return NULL;
	}
	return d;
}

int trace_dat_next(struct trace_dat *d, struct trace_line *l)
{
	struct message m;

	if (d->end)
		return 0;
	if (fread(&m, sizeof(m), 1, d->from) != 1 || m.label_len >= NAME_SIZE ||
	    m.task_len >= NAME_SIZE || fread(d->label, 1, m.label_len, d->from) != m.label_len ||
	    fread(d->task, 1, m.task_len, d->from) != m.task_len)
		return -1;
	*l = m.line;
	l->label = m.label_len ? d->label : NULL;
	l->label_len = m.label_len;
	l->task = m.task_len ? d->task : NULL;
	l->task_len = m.task_len;
	d->end = l->kind == TRACE_LINE_KINDS;
	return !d->end;
}

void trace_dat_close(struct trace_dat *d)
{
	if (!d)
		return;
	if (d->from)
		fclose(d->from);
	/* The closed pipe ends it, if it is still at work. */
	if (d->child > 0) {
		kill(d->child, SIGTERM);
		while (waitpid(d->child, NULL, 0) < 0 && errno == EINTR)
			;
	}
	free(d);
}
