// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the guest reaches of its VMM: the console's ports and the doorbell. Every value that comes
 * in here is the guest's choice; tests/fuzz/doorbell.c tries them.
 */
#include <string.h>

#include "count.h"
#include "device.h"
#include "die.h"
#include "uart.h"

#define COM1 0x3f8

/* Text in a page of the guest: to the report or to the trace file. */
static void take_page(struct vmm *m, uint32_t pfn, FILE *out)
{
	uint64_t gpa = (uint64_t)pfn << 12;

	if (gpa >= m->ram_size)
		vmm_die("the guest reports in page 0x%x, beyond its memory", pfn);
	fwrite(m->ram + gpa, 1, strnlen((char *)m->ram + gpa, 4096), out);
}

void device_guest_ended(struct vmm *m, int status)
{
	m->status = status;
	m->done = true;
	pthread_cond_broadcast(&m->cond);
}

static void doorbell(struct vmm *m, uint32_t word)
{
	uint32_t arg = word >> 8;

	switch (word & 0xff) {
	case VMM_START:
		counts_start(m->counts);
		break;
	case VMM_STOP:
		counts_stop(m->counts);
		counts_print(m->counts, stdout);
		break;
	case VMM_RESTORE:
		if (arg >= VMM_RESTORES)
			vmm_die("the guest asks for restore %u", arg);
		/* fall through */
	case VMM_JUMP:
		m->request = word & 0xff;
		m->argument = arg;
		pthread_cond_broadcast(&m->cond);
		break;
	case VMM_REPORT:
		take_page(m, arg, stdout);
		break;
	case VMM_TRACE:
		take_page(m, arg, m->trace);
		break;
	case VMM_EXIT:
		/* The process would end with its low 8 bits: perhaps well. */
		if (arg > 0xff)
			vmm_die("the guest ends with status %u", arg);
		device_guest_ended(m, (int)arg);
		break;
	default:
		vmm_die("the guest rings the doorbell with 0x%x", word);
	}
}

void device_io(struct vmm *m, struct kvm_run *run)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	if (run->io.port >= COM1 && run->io.port < COM1 + 8) {
		pthread_mutex_lock(&m->lock);
		uart_io(m, run);
		pthread_mutex_unlock(&m->lock);
	} else if (run->io.direction == KVM_EXIT_IO_IN) {
		memset(data, 0xff, (size_t)run->io.size * run->io.count);
	}
}

bool device_mmio(struct vmm *m, struct kvm_run *run)
{
	uint32_t word;
	bool go_on;

	if (!run->mmio.is_write) {
		memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
		return true;
	}
	if (run->mmio.phys_addr != VMM_DOORBELL || run->mmio.len != sizeof(word))
		return true;
	memcpy(&word, run->mmio.data, sizeof(word));
	pthread_mutex_lock(&m->lock);
	doorbell(m, word);
	go_on = !m->done;
	pthread_mutex_unlock(&m->lock);
	return go_on;
}
