// SPDX-License-Identifier: BSD-2-Clause
/* An 8250 that transmits at once and never receives. */
#include <string.h>
#include <sys/ioctl.h>

#include "die.h"
#include "uart.h"

#define UART_IRQ 4

enum { THR, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static void update_irq(struct vmm *m)
{
	struct uart *u = &m->uart;
	bool line = u->thr_empty_pending && (u->ier & 2);
	struct kvm_irq_level level = { .irq = UART_IRQ, .level = line };

	if (line == u->line)
		return;
	u->line = line;
	if (ioctl(m->fd, KVM_IRQ_LINE, &level))
		vmm_die("KVM_IRQ_LINE: %m");
}

static void uart_write(struct vmm *m, int reg, uint8_t v)
{
	struct uart *u = &m->uart;
	bool dlab = u->lcr & 0x80;

	switch (reg) {
	case THR:
		if (dlab) {
			u->dll = v;
			break;
		}
		fputc(v, stderr);
		/* A new edge for each character: the driver sends the next from the interrupt. */
		u->thr_empty_pending = false;
		update_irq(m);
		u->thr_empty_pending = true;
		break;
	case IER:
		if (dlab) {
			u->dlm = v;
			break;
		}
		if ((v & 2) && !(u->ier & 2))
			u->thr_empty_pending = true;
		u->ier = v & 0xf;
		break;
	case LCR:
		u->lcr = v;
		break;
	case MCR:
		u->mcr = v;
		break;
	case SCR:
		u->scr = v;
		break;
	}
	update_irq(m);
}

static uint8_t uart_read(struct vmm *m, int reg)
{
	struct uart *u = &m->uart;
	bool dlab = u->lcr & 0x80;
	uint8_t iir = 1;

	switch (reg) {
	case THR:
		return dlab ? u->dll : 0;
	case IER:
		return dlab ? u->dlm : u->ier;
	case IIR:
		if (u->line)
			iir = 2;
		u->thr_empty_pending = false;
		update_irq(m);
		return iir;
	case LCR:
		return u->lcr;
	case MCR:
		return u->mcr;
	case LSR:
		return 0x60;
	case MSR:
		return 0xb0;
	default:
		return u->scr;
	}
}

void uart_io(struct vmm *m, struct kvm_run *run)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	int reg = run->io.port & 7;

	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_OUT)
			uart_write(m, reg, *data);
		else
			memset(data, uart_read(m, reg), run->io.size);
	}
}
