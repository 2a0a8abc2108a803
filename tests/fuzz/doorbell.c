// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guest's side of the boot VMM: any I/O and MMIO exits, against any memory. Whatever the guest
 * does:
 *
 *   - the VMM goes on, or ends with one line
 *   - text is taken from one page of the guest's memory, up to its first NUL, and from no other
 *   - what is asked of the thread that controls the VM is a restore that there is, or a jump
 *   - the guest has ended well only if it said 0
 *   - each byte of a read is set, and none beyond
 *   - the 8250's interrupt line is set only where it changes
 */
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "count.h"
#include "device.h"
#include "die.h"

#define PAGES 3
#define PAGE  4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __wrap_ioctl(int fd, unsigned long request, ...);

struct input {
	const uint8_t *p;
	size_t left;
};

static jmp_buf died;
static bool line;

static void check(bool holds)
{
	if (!holds)
		__builtin_trap();
}

void vmm_die(const char *fmt, ...)
{
	char said[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(said, sizeof(said), fmt, ap);
	va_end(ap);
	check(n > 0 && (size_t)n < sizeof(said) && !strchr(said, '\n'));
	longjmp(died, 1);
}

/* The counters are the host's. */
void counts_start(struct counts *c)
{
	(void)c;
}

void counts_stop(struct counts *c)
{
	(void)c;
}

void counts_print(struct counts *c, FILE *out)
{
	(void)c;
	(void)out;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	const struct kvm_irq_level *level;
	va_list ap;

	(void)fd;
	va_start(ap, request);
	level = va_arg(ap, const struct kvm_irq_level *);
	va_end(ap);
	check(request == KVM_IRQ_LINE && level->irq == 4 && level->level <= 1);
	check(line != (level->level == 1));
	line = level->level;
	return 0;
}

static uint64_t take(struct input *in, unsigned int bytes)
{
	uint64_t v = 0;

	while (bytes--) {
		v = v << 8 | (in->left ? *in->p : 0);
		if (in->left) {
			in->p++;
			in->left--;
		}
	}
	return v;
}

/* The page behind the fields is as large as the data, so that the sanitizer sees its end. */
static void exit_io(struct vmm *m, struct input *in)
{
	static const uint8_t sizes[] = { 1, 2, 4, 4 };
	uint64_t how = take(in, 1);
	size_t size = sizes[how & 3], count = how & 4 ? 1 + take(in, 1) : 1;
	uint8_t *page = malloc(sizeof(struct kvm_run) + size * count);
	struct kvm_run *run = (void *)page;
	uint8_t *data = page + sizeof(*run);

	check(page);
	memset(run, 0, sizeof(*run));
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = how & 8 ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
	run->io.size = (uint8_t)size;
	run->io.count = (uint32_t)count;
	run->io.port = how & 16 ? (uint16_t)take(in, 2) : (uint16_t)(0x3f8 + (how >> 5));
	run->io.data_offset = sizeof(*run);
	for (size_t i = 0; i < size * count; i++)
		data[i] = how & 8 ? (uint8_t)take(in, 1) : 0x5a;
	device_io(m, run);
	/* No register of the 8250 holds this unless the guest has put it there. */
	for (size_t i = 0; !(how & 8) && i < size * count; i++)
		check(data[i] != 0x5a || m->uart.dll == 0x5a || m->uart.dlm == 0x5a ||
		      m->uart.lcr == 0x5a || m->uart.mcr == 0x5a || m->uart.scr == 0x5a);
	free(page);
}

/* What came of a doorbell. @before, @after: how much the trace had, and has. */
static void judge(const struct vmm *m, uint32_t word, const char *trace, size_t before,
		  size_t after)
{
	const uint8_t *page = m->ram + (size_t)PAGE * (word >> 8);
	size_t text = 0;

	if ((word & 0xff) == VMM_TRACE) {
		check(word >> 8 < PAGES);
		while (text < PAGE && page[text])
			text++;
		check(!text || !memcmp(trace + before, page, text));
	}
	check(after - before == text);
	check(!m->request || m->request == VMM_JUMP ||
	      (m->request == VMM_RESTORE && m->argument < VMM_RESTORES));
	/* The low 8 bits are what the process ends with. */
	check(!m->done || (m->status & 0xff) || word >> 8 == 0);
}

/* False: the guest has ended. */
static bool exit_mmio(struct vmm *m, struct input *in, char **trace, const size_t *length)
{
	uint64_t how = take(in, 1);
	struct kvm_run run = { .exit_reason = KVM_EXIT_MMIO };
	size_t before = *length;
	uint32_t word = 0;
	bool rings, go_on;

	run.mmio.phys_addr = how & 3 ? VMM_DOORBELL : take(in, 8);
	run.mmio.len = how & 12 ? sizeof(word) : (uint32_t)(1 + take(in, 1) % 8);
	run.mmio.is_write = (how & 48) != 0;
	for (int i = 0; i < 8; i++)
		run.mmio.data[i] = i < 4 || !(how & 12) ? (uint8_t)take(in, 1) : 0;
	memcpy(&word, run.mmio.data, sizeof(word));
	rings = run.mmio.phys_addr == VMM_DOORBELL && run.mmio.len == 4 && run.mmio.is_write;
	go_on = device_mmio(m, &run);
	fflush(m->trace);
	check(go_on == !m->done);
	if (rings)
		judge(m, word, *trace, before, *length);
	else
		check(go_on && *length == before);
	for (int i = 0; !run.mmio.is_write && i < 8; i++)
		check(run.mmio.data[i] == 0xff);
	m->request = 0; /* the controlling thread has done it */
	return go_on;
}

static void guest_stores(struct vmm *m, struct input *in)
{
	size_t at = take(in, 2) % m->ram_size;
	size_t n = take(in, 2) % (m->ram_size - at + 1);

	memset(m->ram + at, (int)take(in, 1), n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vmm m; /* static: it is used after longjmp() */
	static char *trace;
	static size_t length;
	struct input in = { data, size };

	memset(&m, 0, sizeof(m));
	pthread_mutex_init(&m.lock, NULL);
	pthread_cond_init(&m.cond, NULL);
	line = false;
	length = 0;
	m.ram_size = (size_t)PAGES * PAGE;
	m.ram = calloc(PAGES, PAGE);
	m.trace = open_memstream(&trace, &length);
	check(m.ram && m.trace);
	if (!setjmp(died)) {
		bool go_on = true;

		while (go_on && in.left) {
			switch (take(&in, 1) & 3) {
			case 0:
				exit_io(&m, &in);
				break;
			case 1:
				guest_stores(&m, &in);
				break;
			default:
				go_on = exit_mmio(&m, &in, &trace, &length);
				break;
			}
		}
	}
	fclose(m.trace);
	free(trace);
	free(m.ram);
	return 0;
}
