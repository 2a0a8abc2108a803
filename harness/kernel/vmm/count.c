// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the host counts between VMM_START and VMM_STOP: the binary statistics of every vCPU, summed
 * under their own names, and the histograms of the kvm_msr and kvm_exit tracepoints.
 *
 * The statistics' descriptors are opened when a VM is created: later the ioctl would block on a
 * halted vCPU. Histograms count every VM of the machine, so this wants a host of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "count.h"
#include "die.h"

#define EVENTS	  "/sys/kernel/tracing/events/kvm/"
#define MAX_STATS 256
#define NAME_LEN  64

static const struct {
	const char *dir, *name, *hist;
} triggers[] = {
	{ EVENTS "kvm_msr", "msr", "hist:keys=ecx.hex,write:vals=hitcount:size=256" },
	{ EVENTS "kvm_exit", "exit", "hist:keys=exit_reason.hex:vals=hitcount:size=256" },
};
#define TRIGGERS (sizeof(triggers) / sizeof(triggers[0]))

struct counter {
	char name[NAME_LEN];
	uint64_t before, sum; /* at VMM_START; of VMs that are gone */
};

struct counts {
	int fd[VMM_MAX_CPUS];
	int cpus;
	struct counter stat[MAX_STATS];
	uint32_t stats;
	uint32_t offset[MAX_STATS]; /* in the descriptor's data block */
	uint32_t data_offset;
	uint64_t after[MAX_STATS];
	bool hist; /* the tracepoints are there */
};

static void write_trigger(size_t i, const char *prefix, const char *suffix, bool may_fail)
{
	char path[256], line[256];
	int fd, n;

	snprintf(path, sizeof(path), "%s/trigger", triggers[i].dir);
	n = snprintf(line, sizeof(line), "%s%s%s", prefix, triggers[i].hist, suffix);
	fd = open(path, O_WRONLY);
	if (fd < 0 || (write(fd, line, n) != n && !may_fail))
		vmm_die("%s: writing \"%s\": %m", path, line);
	close(fd);
}

struct counts *counts_new(void)
{
	struct counts *c = calloc(1, sizeof(*c));

	if (!c)
		vmm_die("out of memory");
	c->hist = access(EVENTS "kvm_msr/trigger", W_OK) == 0;
	/* What a VMM before this one may have left behind when its guest hung. */
	for (size_t i = 0; c->hist && i < TRIGGERS; i++)
		write_trigger(i, "!", "", true);
	return c;
}

static void read_descriptors(struct counts *c, int fd)
{
	struct kvm_stats_header h;
	size_t size;
	char *buf;

	if (pread(fd, &h, sizeof(h), 0) != sizeof(h))
		vmm_die("KVM statistics: no header");
	size = sizeof(struct kvm_stats_desc) + h.name_size;
	buf = malloc(size);
	if (!buf)
		vmm_die("out of memory");
	c->stats = 0;
	c->data_offset = h.data_offset;
	for (uint32_t i = 0; i < h.num_desc && c->stats < MAX_STATS; i++) {
		struct kvm_stats_desc *d = (void *)buf;

		if (pread(fd, buf, size, h.desc_offset + i * size) != (ssize_t)size)
			vmm_die("KVM statistics: descriptor %u of %u is missing", i, h.num_desc);
		/* Histograms and peaks are not counts. */
		if ((d->flags & KVM_STATS_TYPE_MASK) != KVM_STATS_TYPE_CUMULATIVE || d->size != 1)
			continue;
		snprintf(c->stat[c->stats].name, NAME_LEN, "%s", d->name);
		c->offset[c->stats++] = d->offset;
	}
	free(buf);
}

void counts_attach(struct counts *c, struct vmm *m)
{
	c->cpus = m->opt.cpus;
	for (int i = 0; i < c->cpus; i++) {
		c->fd[i] = ioctl(m->vcpu[i].fd, KVM_GET_STATS_FD, NULL);
		if (c->fd[i] < 0)
			vmm_die("KVM_GET_STATS_FD: %m");
	}
	read_descriptors(c, c->fd[0]);
}

static uint64_t current_value(struct counts *c, uint32_t i)
{
	uint64_t total = c->stat[i].sum, value;

	for (int cpu = 0; cpu < c->cpus; cpu++) {
		if (pread(c->fd[cpu], &value, sizeof(value), c->data_offset + c->offset[i]) !=
		    sizeof(value))
			vmm_die("KVM statistics: %s of vCPU %d cannot be read", c->stat[i].name,
				cpu);
		total += value;
	}
	return total;
}

void counts_detach(struct counts *c)
{
	for (uint32_t i = 0; i < c->stats; i++)
		c->stat[i].sum = current_value(c, i);
	for (int cpu = 0; cpu < c->cpus; cpu++)
		close(c->fd[cpu]);
}

void counts_start(struct counts *c)
{
	for (uint32_t i = 0; i < c->stats; i++)
		c->stat[i].before = current_value(c, i);
	for (size_t i = 0; c->hist && i < TRIGGERS; i++)
		write_trigger(i, "", "", false);
}

void counts_stop(struct counts *c)
{
	for (size_t i = 0; c->hist && i < TRIGGERS; i++)
		write_trigger(i, "", ":pause", false);
	for (uint32_t i = 0; i < c->stats; i++)
		c->after[i] = current_value(c, i);
}

/* Lines like "{ ecx: 6e0, write: 1 } hitcount: 42" become "msr ecx=6e0 write=1 count=42". */
static void print_hist(size_t i, FILE *out)
{
	char path[256], line[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/hist", triggers[i].dir);
	f = fopen(path, "r");
	if (!f)
		vmm_die("%s: %m", path);
	while (fgets(line, sizeof(line), f)) {
		char key[32];
		unsigned long hits;
		unsigned int write;

		if (sscanf(line, "{ ecx: %31[0-9a-fx], write: %u } hitcount: %lu", key, &write,
			   &hits) == 3)
			fprintf(out, "msr_%s_%s %lu\n", write ? "write" : "read", key, hits);
		else if (sscanf(line, "{ exit_reason: %31[0-9a-fx] } hitcount: %lu", key, &hits) ==
			 2)
			fprintf(out, "exit_%s %lu\n", key, hits);
	}
	fclose(f);
	write_trigger(i, "!", "", false);
}

void counts_print(struct counts *c, FILE *out)
{
	for (uint32_t i = 0; i < c->stats; i++)
		if (c->after[i] != c->stat[i].before)
			fprintf(out, "stat_%s %lu\n", c->stat[i].name,
				(unsigned long)(c->after[i] - c->stat[i].before));
	for (size_t i = 0; c->hist && i < TRIGGERS; i++)
		print_hist(i, out);
}
