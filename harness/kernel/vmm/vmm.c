// SPDX-License-Identifier: BSD-2-Clause
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "count.h"
#include "device.h"
#include "die.h"
#include "machine.h"
#include "state.h"
#include "vmm.h"

#define SIG_KICK       SIGUSR1
#define STATUS_TIMEOUT 3
#define STATUS_CRASH   4

static void on_kick(int sig)
{
	(void)sig;
}

/* Wait while the machine is paused. False: it is over. */
static bool park(struct vcpu *v)
{
	struct vmm *m = v->vmm;
	bool go_on;

	pthread_mutex_lock(&m->lock);
	while (m->pause && !m->done) {
		v->parked = true;
		pthread_cond_broadcast(&m->cond);
		pthread_cond_wait(&m->cond, &m->lock);
	}
	v->parked = false;
	go_on = !m->done;
	pthread_mutex_unlock(&m->lock);
	return go_on;
}

/*
 * Since Linux 6.14 KVM does not emulate an instruction whose exit says that an event was being
 * delivered, and on AMD it looks at that event's type, without asking whether it is valid. QEMU's
 * SVM leaves the type of the guest's last exception there, no longer valid, until the next exit. So
 * a store to the doorbell that is the first exit after an exception fails. It has had no effect,
 * and is made once more.
 */
static bool false_vectoring(struct vcpu *v)
{
	/* Twice in a row: a real one. */
	if (v->run->internal.suberror != KVM_INTERNAL_ERROR_DELIVERY_EV || v->vectoring)
		return false;
	v->vectoring = true;
	v->false_vectorings++;
	return true;
}

/* Says what KVM gave up at, and ends. */
static void internal_error(struct vcpu *v)
{
	const struct kvm_run *run = v->run;
	char data[16 * 17 + 1] = "", code[15 * 3 + 1] = "";
	struct kvm_regs regs;
	size_t n = 0;

	for (uint32_t i = 0; i < run->internal.ndata && i < 16; i++)
		n += snprintf(data + n, sizeof(data) - n, " %llx", run->internal.data[i]);
	if (ioctl(v->fd, KVM_GET_REGS, &regs))
		vmm_die("KVM_GET_REGS: %m");
	if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION &&
	    run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) {
		n = 0;
		for (int i = 0; i < run->emulation_failure.insn_size && i < 15; i++)
			n += snprintf(code + n, sizeof(code) - n, " %02x",
				      run->emulation_failure.insn_bytes[i]);
	}
	vmm_die("vCPU %d: KVM internal error %u at 0x%llx, data%s%s%s", v->index,
		run->internal.suberror, regs.rip, *data ? data : " none", *code ? ", code" : "",
		code);
}

/* One CPU of the host for each vCPU, as far as they go. */
static void pin(int index)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(index % sysconf(_SC_NPROCESSORS_ONLN), &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		vmm_die("pinning vCPU %d: %m", index);
}

static void *run_vcpu(void *arg)
{
	struct vcpu *v = arg;
	struct vmm *m = v->vmm;

	pin(v->index);

	for (;;) {
		if (ioctl(v->fd, KVM_RUN, 0) < 0) {
			if (errno != EINTR && errno != EAGAIN)
				vmm_die("KVM_RUN on vCPU %d: %m", v->index);
			/* An I/O instruction is complete now: only here its state may be saved. */
			if (!park(v))
				return NULL;
			continue;
		}
		switch (v->run->exit_reason) {
		case KVM_EXIT_IO:
			device_io(m, v->run);
			break;
		case KVM_EXIT_MMIO:
			/* The guest's next step is to reset the machine, a triple fault. */
			if (!device_mmio(m, v->run))
				return NULL;
			break;
		case KVM_EXIT_INTR:
			break;
		case KVM_EXIT_SHUTDOWN:
			fprintf(stderr, "lazytsc-vmm: vCPU %d: triple fault\n", v->index);
			pthread_mutex_lock(&m->lock);
			device_guest_ended(m, STATUS_CRASH);
			pthread_mutex_unlock(&m->lock);
			return NULL;
		case KVM_EXIT_INTERNAL_ERROR:
			if (!false_vectoring(v))
				internal_error(v);
			continue;
		default:
			vmm_die("vCPU %d: exit reason %u", v->index, v->run->exit_reason);
		}
		v->vectoring = false;
	}
}

static bool all_parked(struct vmm *m)
{
	for (int i = 0; i < m->opt.cpus; i++)
		if (!m->vcpu[i].parked)
			return false;
	return true;
}

/* Stop every vCPU at an instruction boundary, outside KVM_RUN. Called with the lock held. */
static void pause_all(struct vmm *m)
{
	m->pause = true;
	for (int i = 0; i < m->opt.cpus; i++) {
		m->vcpu[i].run->immediate_exit = 1;
		pthread_kill(m->vcpu[i].thread, SIG_KICK);
	}
	while (!all_parked(m))
		pthread_cond_wait(&m->cond, &m->lock);
}

/* Returns when the guest has exited, or at the deadline. */
static int control(struct vmm *m)
{
	struct timespec deadline;
	int status = 0;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += m->opt.timeout;
	pthread_mutex_lock(&m->lock);
	while (!m->done) {
		if (m->request) {
			pause_all(m);
			if (m->request == VMM_RESTORE)
				vm_save_restore(m, m->argument);
			else
				vm_jump(m,
					VMM_JUMP_UNIT * ((long long)m->argument - VMM_JUMP_ZERO));
			m->request = 0;
			m->pause = false;
			for (int i = 0; i < m->opt.cpus; i++)
				m->vcpu[i].run->immediate_exit = 0;
			pthread_cond_broadcast(&m->cond);
		}
		if (pthread_cond_timedwait(&m->cond, &m->lock, &deadline) == ETIMEDOUT &&
		    !m->done) {
			fprintf(stderr, "lazytsc-vmm: the guest has not ended within %d s\n",
				m->opt.timeout);
			pause_all(m);
			vm_show(m);
			status = STATUS_TIMEOUT;
			break;
		}
	}
	pthread_mutex_unlock(&m->lock);
	return status ? status : m->status;
}

static void start(struct vmm *m)
{
	struct sigaction sa = { .sa_handler = on_kick };
	pthread_condattr_t attr;

	sigaction(SIG_KICK, &sa, NULL);
	pthread_mutex_init(&m->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&m->cond, &attr);
	for (int i = 0; i < m->opt.cpus; i++) {
		struct vcpu *v = &m->vcpu[i];
		struct kvm_mp_state ap = { .mp_state = KVM_MP_STATE_UNINITIALIZED };

		if (i == 0)
			machine_boot_regs(v);
		else if (ioctl(v->fd, KVM_SET_MP_STATE, &ap))
			vmm_die("KVM_SET_MP_STATE: %m");
	}
	for (int i = 0; i < m->opt.cpus; i++)
		if (pthread_create(&m->vcpu[i].thread, NULL, run_vcpu, &m->vcpu[i]))
			vmm_die("no thread for vCPU %d", i);
}

enum {
	KEY_CPUS = 'c',
	KEY_MEM = 'm',
	KEY_KERNEL = 'k',
	KEY_INITRD = 'i',
	KEY_APPEND = 'a',
	KEY_LAZY = 'l',
	KEY_TIMEOUT = 't',
	KEY_TRACE = 'T'
};

static const struct argp_option options[] = {
	{ "kernel", KEY_KERNEL, "VMLINUX", 0, "guest kernel, an ELF file", 0 },
	{ "initrd", KEY_INITRD, "FILE", 0, "guest initramfs", 0 },
	{ "append", KEY_APPEND, "TEXT", 0, "guest kernel command line", 0 },
	{ "cpus", KEY_CPUS, "N", 0, "vCPUs (1)", 0 },
	{ "memory", KEY_MEM, "MIB", 0, "guest memory (128)", 0 },
	{ "lazy", KEY_LAZY, 0, 0, "offer the lazy TSC deadline to the guest", 0 },
	{ "timeout", KEY_TIMEOUT, "SECONDS", 0, "give up after this time (60)", 0 },
	{ "trace", KEY_TRACE, "FILE", 0, "where the guest's trace goes (/dev/null)", 0 },
	{ 0 }
};

static int number(const char *s, int low, int high, struct argp_state *state)
{
	char *end;
	long n = strtol(s, &end, 10);

	if (*end || n < low || n > high)
		argp_error(state, "expected a number from %d to %d, found '%s'", low, high, s);
	return n;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct vmm *m = state->input;

	switch (key) {
	case KEY_KERNEL:
		m->opt.kernel = arg;
		break;
	case KEY_INITRD:
		m->opt.initrd = arg;
		break;
	case KEY_APPEND:
		m->opt.append = arg;
		break;
	case KEY_CPUS:
		m->opt.cpus = number(arg, 1, VMM_MAX_CPUS, state);
		break;
	case KEY_MEM:
		m->opt.mem_mb = number(arg, 32, 3072, state);
		break;
	case KEY_LAZY:
		m->opt.lazy = true;
		break;
	case KEY_TIMEOUT:
		m->opt.timeout = number(arg, 1, 86400, state);
		break;
	case KEY_TRACE:
		m->opt.trace = arg;
		break;
	case ARGP_KEY_END:
		if (!m->opt.kernel || !m->opt.initrd)
			argp_error(state, "--kernel and --initrd are needed");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.doc = "Boot a Linux guest on KVM, count what it costs the host.\v"
	       "The guest's console goes to standard error, counts and the guest's report to standard output, one \"name value\" on a line.\n\n"
	       "Exit status: what the guest says (0: good), 1 usage, 2 error, 3 the guest did not end, 4 it crashed.",
};

int main(int argc, char **argv)
{
	static struct vmm m = {
		.opt = { .cpus = 1,
			 .mem_mb = 128,
			 .timeout = 60,
			 .append = "",
			 .trace = "/dev/null" },
	};
	unsigned long long false_vectorings = 0;
	int status;

	argp_err_exit_status = 1;
	argp_parse(&argp, argc, argv, 0, NULL, &m);
	m.trace = fopen(m.opt.trace, "w");
	if (!m.trace)
		vmm_die("%s: %m", m.opt.trace);
	m.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (m.kvm < 0)
		vmm_die("/dev/kvm: %m");
	for (int i = 0; i < m.opt.cpus; i++) {
		m.vcpu[i].vmm = &m;
		m.vcpu[i].index = i;
	}
	machine_memory(&m);
	machine_load(&m);
	machine_cpuid(&m);
	m.counts = counts_new();
	vm_create(&m);
	counts_attach(m.counts, &m);
	printf("tsc_khz %d\n", ioctl(m.vcpu[0].fd, KVM_GET_TSC_KHZ, 0));
	start(&m);
	status = control(&m);
	printf("restores %d\njumps %d\n", m.restores, m.jumps);
	for (int i = 0; i < m.opt.cpus; i++)
		false_vectorings += m.vcpu[i].false_vectorings;
	printf("false_vectorings %llu\n", false_vectorings);
	if (status == STATUS_TIMEOUT || status == STATUS_CRASH)
		printf("guest_lost %s\n", status == STATUS_CRASH ? "crash" : "timeout");
	fflush(NULL);
	/* The vCPU threads go with the process; a halted one would have to be kicked first. */
	_exit(status);
}
