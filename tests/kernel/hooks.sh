#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The hooks of each kernel version add the same lines to the kernel: a hook that one version has and
# another lacks, or has in another form, is named here with its reason, or is a mistake. What the
# lines do where they stand is for the tests that boot.
# Usage: hooks.sh KERNEL-GLUE
set -euo pipefail

glue=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# 6.12 looks whether a cache has to be invalidated before it takes the lock for it, which nests the
# line more deeply than in 6.1; checks for a dynamic timer advance in adjust_lapic_timer_advance(),
# 6.1 before the call; and its kernel-parameters.txt has EARLY. 7.3 has another fast path, and the
# clock event device that is coupled with the clock source.
sort >"$tmp/expected" <<'END'
6.12:+		adjust_lapic_timer_advance(vcpu, guest_tsc - tsc_deadline);
6.12:+	if (kvm_lazy_tscdeadline_punctual(&apic->lazy))
6.1:+	if (lapic_timer_advance_dynamic && kvm_lazy_tscdeadline_punctual(&apic->lazy)) {
6.12:+			[X86,KVM_GUEST,EARLY] Disable the lazy TSC deadline:
6.12:+			each TSC deadline is a VM exit again.
6.1:+			[X86,KVM_GUEST] Disable the lazy TSC deadline: each TSC
6.1:+			deadline is a VM exit again.
6.12:+	return !kvm_set_lapic_tscdeadline_msr(vcpu, data, false, true);
7.3:+		if (!kvm_set_lapic_tscdeadline_msr(vcpu, data, false, true))
7.3:+			return EXIT_FASTPATH_NONE;
6.12:+				gpc_invalidate(gpc);
6.1:+			gpc_invalidate(gpc);
7.3:+#include <asm/kvm_lazy_tscdeadline.h>
7.3:+	kvm_lazy_tscdeadline_program(cycles);
END

# The lines that the hooks of a version add, but for empty ones, each as often as it is added.
added()
{
	cat "$glue/patches/$1"/*.patch | sed -n '/^+++ /d; /^+./p' | sort
}

for version in 6.12 6.1 7.3; do
	added $version >"$tmp/$version"
	[ "$(wc -l <"$tmp/$version")" -ge 100 ] || { echo "hooks.sh: $version: hardly any hooks" >&2; exit 1; }
done
for version in 6.1 7.3; do
	comm -23 "$tmp/6.12" "$tmp/$version" | sed 's/^/6.12:/'
	comm -13 "$tmp/6.12" "$tmp/$version" | sed "s/^/$version:/"
done | sort >"$tmp/found"
diff "$tmp/expected" "$tmp/found" >&2 || {
	echo "hooks.sh: the hooks differ in other lines (>) than expected (<)" >&2
	exit 1
}
