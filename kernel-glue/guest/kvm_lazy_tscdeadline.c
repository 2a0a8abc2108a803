// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * KVM guest side of the lazy TSC deadline: the per-CPU area, switching it on and off, and debugfs.
 * The core (guest.c) decides whether a deadline is written; apic.c asks on each path that programs
 * the timer.
 */
#define pr_fmt(fmt) "kvm-guest: " fmt

#include <linux/cpu.h>
#include <linux/cpufeature.h>
#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/kvm_para.h>
#include <linux/percpu.h>
#include <linux/pgtable.h>
#include <linux/seq_file.h>
#include <linux/set_memory.h>
#include <linux/smp.h>

#include <asm/kvm_lazy_tscdeadline.h>
#include <asm/msr.h>
#include <asm/tsc.h>

#include <lazytsc/guest.h>

#define CREATE_TRACE_POINTS
#include <asm/trace/lazytsc.h>

/* A promise that is overdue by a millisecond is void (B28). TSC cycles. */
#define KVM_LAZY_GRACE tsc_khz

DEFINE_STATIC_KEY_FALSE(kvm_lazy_tscdeadline_key);

/* Decrypted, so that the host can reach it also when the guest's memory is encrypted (B20). */
static DEFINE_PER_CPU_DECRYPTED(struct lazytsc_area, kvm_lazy_area);
static DEFINE_PER_CPU(struct lazytsc_guest, kvm_lazy_guest);

static bool kvm_lazy_allowed __ro_after_init = true;
/* The switch in debugfs; changed under cpus_read_lock(). */
static bool kvm_lazy_wanted = true;

static int __init kvm_lazy_parse_off(char *arg)
{
	kvm_lazy_allowed = false;
	return 0;
}
early_param("no-lazy-tscdeadline", kvm_lazy_parse_off);

void __init kvm_lazy_tscdeadline_init(void)
{
	if (!kvm_lazy_allowed || !boot_cpu_has(X86_FEATURE_TSC_DEADLINE_TIMER) ||
	    !kvm_para_has_feature(LAZYTSC_CPUID_BIT))
		return;

	static_branch_enable(&kvm_lazy_tscdeadline_key);
	pr_info("lazy TSC deadline\n");
}

void __init kvm_lazy_tscdeadline_set_decrypted(int cpu)
{
	early_set_memory_decrypted((unsigned long)&per_cpu(kvm_lazy_area, cpu),
				   sizeof(kvm_lazy_area));
}

/* On the CPU, interrupts off. */
void kvm_lazy_tscdeadline_cpu_online(void)
{
	struct lazytsc_guest *g = this_cpu_ptr(&kvm_lazy_guest);
	struct lazytsc_area *area = this_cpu_ptr(&kvm_lazy_area);

	if (!kvm_lazy_tscdeadline_active() || !READ_ONCE(kvm_lazy_wanted) || g->area)
		return;

	/* If the host refuses, the feature stays off on this CPU, and every write traps. */
	if (wrmsrq_safe(LAZYTSC_MSR,
			lazytsc_guest_enable(g, area, slow_virt_to_phys(area), KVM_LAZY_GRACE)))
		lazytsc_guest_disable(g);
}

/*
 * On the CPU, interrupts off: CPU offline, suspend, kexec, crash (B16). The area's memory may be
 * reused afterwards, so the host must not write there any more.
 */
void kvm_lazy_tscdeadline_cpu_offline(void)
{
	struct lazytsc_guest *g = this_cpu_ptr(&kvm_lazy_guest);

	if (g->area)
		wrmsrq(LAZYTSC_MSR, lazytsc_guest_disable(g));
}

bool __kvm_lazy_tscdeadline_skip(u64 deadline)
{
	struct lazytsc_guest *g = this_cpu_ptr(&kvm_lazy_guest);

	if (deadline ? lazytsc_guest_set(g, deadline) : lazytsc_guest_disarm(g))
		return false;

	trace_lazytsc_skip(deadline);
	return true;
}

/*
 * After several writes in a row that left nothing armed, the guest may have been restored by a VMM
 * that does not know LAZYTSC_MSR. Then give the area to the host once more (B27).
 */
void __kvm_lazy_tscdeadline_wrote(u64 deadline)
{
	struct lazytsc_guest *g = this_cpu_ptr(&kvm_lazy_guest);
	u64 word;

	if (!lazytsc_guest_wrote(g, deadline))
		return;

	/* A host that does not know the MSR any more does not have the feature. */
	if (rdmsrq_safe(LAZYTSC_MSR, &word)) {
		lazytsc_guest_disable(g);
		return;
	}
	word = lazytsc_guest_found(g, word);
	if (word && wrmsrq_safe(LAZYTSC_MSR, word))
		lazytsc_guest_disable(g);
}

#ifdef KVM_LAZY_TRACE_WRITES
void __kvm_lazy_tscdeadline_trace_write(u64 deadline)
{
	trace_lazytsc_write(deadline);
}
#endif

#ifdef CONFIG_DEBUG_FS
static void kvm_lazy_switch(void *info)
{
	if (kvm_lazy_wanted)
		kvm_lazy_tscdeadline_cpu_online();
	else
		kvm_lazy_tscdeadline_cpu_offline();
}

static int kvm_lazy_enabled_get(void *data, u64 *val)
{
	*val = kvm_lazy_wanted;
	return 0;
}

static int kvm_lazy_enabled_set(void *data, u64 val)
{
	/* A CPU that comes up meanwhile sees the new value, or is switched here. */
	cpus_read_lock();
	WRITE_ONCE(kvm_lazy_wanted, val);
	on_each_cpu(kvm_lazy_switch, NULL, 1);
	cpus_read_unlock();
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(kvm_lazy_enabled_fops, kvm_lazy_enabled_get, kvm_lazy_enabled_set,
			 "%llu\n");

static int kvm_lazy_stats_show(struct seq_file *m, void *v)
{
	int cpu;

	seq_puts(m, "cpu writes skips\n");
	for_each_possible_cpu(cpu) {
		const struct lazytsc_guest *g = per_cpu_ptr(&kvm_lazy_guest, cpu);

		seq_printf(m, "%d %llu %llu\n", cpu, READ_ONCE(g->writes), READ_ONCE(g->skips));
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(kvm_lazy_stats);

static int __init kvm_lazy_debugfs(void)
{
	struct dentry *dir;

	if (!kvm_lazy_tscdeadline_active())
		return 0;

	dir = debugfs_create_dir("kvm_lazy_tscdeadline", NULL);
	debugfs_create_file("enabled", 0600, dir, NULL, &kvm_lazy_enabled_fops);
	debugfs_create_file("stats", 0400, dir, NULL, &kvm_lazy_stats_fops);
	return 0;
}
late_initcall(kvm_lazy_debugfs);
#endif
