// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <pthread.h>

#include <asm/barrier.h>

#include "lazy_tscdeadline.h"

struct lazy_cpu lazy_cpus[LAZY_VCPUS];
bool lazy_x2apic = true;

static u64 at_rest[LAZY_VCPUS];

u32 lazy_apic_read(unsigned int reg)
{
	return lazy_x2apic ? x2apic_read_reg(reg) : xapic_read_reg(reg);
}

void lazy_apic_write(unsigned int reg, u32 value)
{
	if (lazy_x2apic)
		x2apic_write_reg(reg, value);
	else
		xapic_write_reg(reg, value);
}

static void lazy_irq(struct ex_regs *regs)
{
	u32 id = lazy_apic_read(APIC_ID) >> (lazy_x2apic ? 0 : 24);
	struct lazy_cpu *cpu = &lazy_cpus[id];

	WRITE_ONCE(cpu->irq_tsc, rdtsc());
	WRITE_ONCE(cpu->irqs, cpu->irqs + 1);
	lazy_apic_write(APIC_EOI, 0);
}

void lazy_start(void)
{
	cli();
	if (lazy_x2apic)
		x2apic_enable();
	else
		xapic_enable();
	lazy_apic_write(APIC_LVTT, APIC_LVT_TIMER_TSCDEADLINE | LAZY_VECTOR);
	/* A write to memory is not ordered before a later WRMSR (A14). */
	mb();
	sti();
}

void lazy_enable(struct lazy_cpu *cpu)
{
	u64 gpa = lazy_area_gpa(cpu - lazy_cpus);

	cpu->area = (struct lazy_area *)gpa;
	memset(cpu->area, 0, sizeof(*cpu->area));
	wrmsr(MSR_KVM_LAZY_TSCDEADLINE, gpa | 1);
}

bool lazy_set(struct lazy_cpu *cpu, u64 t)
{
	bool write = true;
	u64 armed;

	cli();
	if (cpu->area) {
		WRITE_ONCE(cpu->area->pending, t);
		/* Pairs with KVM's, between its store of armed and its load of pending. */
		mb();
		armed = READ_ONCE(cpu->area->armed);
		write = !armed;
		if (armed && t)
			write = t < armed || rdtsc() > armed + lazy_ms(1);
	}
	if (write) {
		wrmsr(MSR_IA32_TSC_DEADLINE, t);
		cpu->writes++;
	}
	cpu->deadline = t;
	sti_nop();
	return write;
}

void lazy_spin_until(u64 t)
{
	while (rdtsc() < t)
		cpu_relax();
}

void lazy_assert_fired(struct lazy_cpu *cpu, u64 t)
{
	u64 irqs = READ_ONCE(cpu->irqs), irq_tsc = READ_ONCE(cpu->irq_tsc);

	__GUEST_ASSERT(irqs == 1, "%lu interrupts, expected 1", irqs);
	__GUEST_ASSERT(irq_tsc >= t, "%lu cycles early", t - irq_tsc);
	GUEST_ASSERT_EQ(rdmsr(MSR_IA32_TSC_DEADLINE), 0);
}

void lazy_example(struct lazy_cpu *cpu)
{
	u64 now = rdtsc(), writes = cpu->writes, t = 0;

	WRITE_ONCE(cpu->irqs, 0);
	for (int i = 0; i < 4; i++) {
		t = now + lazy_ms(10 + 5 * i);
		lazy_set(cpu, t);
	}
	GUEST_ASSERT_EQ(cpu->writes - writes, cpu->area ? 1 : 4);
	GUEST_ASSERT_EQ(rdmsr(MSR_IA32_TSC_DEADLINE), t);
	lazy_spin_until(t - lazy_ms(5));
	GUEST_ASSERT_EQ(READ_ONCE(cpu->irqs), 0);
	lazy_spin_until(t + lazy_ms(10));
	lazy_assert_fired(cpu, t);
}

void lazy_vm_init(struct kvm_vm *vm)
{
	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, LAZY_GPA, LAZY_SLOT, 1, 0);
	virt_map(vm, LAZY_GPA, LAZY_GPA, 1);
	virt_pg_map(vm, APIC_DEFAULT_GPA, APIC_DEFAULT_GPA);
	vm_install_exception_handler(vm, LAZY_VECTOR, lazy_irq);
}

void lazy_vcpu_init(struct kvm_vcpu *vcpu)
{
	vcpu_enable_cap(vcpu, KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 1);
	vcpu_set_cpuid_feature(vcpu, X86_FEATURE_TSC_DEADLINE_TIMER);
	vcpu_set_cpuid_feature(vcpu, X86_FEATURE_KVM_LAZY_TSCDEADLINE);
}

struct kvm_vm *lazy_vm_create(struct kvm_vcpu **vcpu)
{
	struct kvm_vm *vm = vm_create_with_one_vcpu(vcpu, NULL);

	lazy_vm_init(vm);
	lazy_vcpu_init(*vcpu);
	return vm;
}

struct lazy_cpu *lazy_cpu_hva(struct kvm_vcpu *vcpu)
{
	return addr_gva2hva(vcpu->vm, (gva_t)&lazy_cpus[vcpu->id]);
}

struct lazy_area *lazy_area_hva(struct kvm_vcpu *vcpu)
{
	return addr_gpa2hva(vcpu->vm, lazy_area_gpa(vcpu->id));
}

void lazy_set_at_rest(struct kvm_vcpu *vcpu, u64 armed)
{
	at_rest[vcpu->id] = armed;
}

u64 lazy_run(struct kvm_vcpu *vcpu)
{
	u64 armed;
	struct ucall uc;

	while (__vcpu_run(vcpu))
		TEST_ASSERT(errno == EINTR, "KVM_RUN: errno %d", errno);
	TEST_ASSERT_KVM_EXIT_REASON(vcpu, KVM_EXIT_IO);

	armed = READ_ONCE(lazy_area_hva(vcpu)->armed);
	TEST_ASSERT(armed == at_rest[vcpu->id], "armed is %#lx in user space (B17)", armed);

	switch (get_ucall(vcpu, &uc)) {
	case UCALL_ABORT:
		REPORT_GUEST_ASSERT(uc);
		break;
	case UCALL_SYNC:
	case UCALL_DONE:
		break;
	default:
		TEST_FAIL("Unknown ucall %lu", uc.cmd);
	}
	return uc.cmd;
}

void lazy_run_to_end(struct kvm_vcpu *vcpu)
{
	while (lazy_run(vcpu) != UCALL_DONE)
		;
}

static void *run_to_end(void *vcpu)
{
	lazy_run_to_end(vcpu);
	return NULL;
}

pthread_t lazy_run_in_thread(struct kvm_vcpu *vcpu)
{
	struct lazy_cpu *cpu = lazy_cpu_hva(vcpu);
	pthread_t thread;

	WRITE_ONCE(cpu->ready, 0);
	kvm_pthread_create(&thread, NULL, run_to_end, vcpu);
	while (!READ_ONCE(cpu->ready))
		usleep(100);
	return thread;
}
