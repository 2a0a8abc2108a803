// SPDX-License-Identifier: BSD-2-Clause
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "fiber.h"

#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define FIBER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FIBER_TSAN 1
#endif
#endif

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(start, end) 0
#define VALGRIND_STACK_DEREGISTER(id)	    ((void)(id))
#define RUNNING_ON_VALGRIND		    0
#endif
#ifdef FIBER_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef FIBER_TSAN
#include <sanitizer/tsan_interface.h>
#endif

enum {
	TSAN_STARTS = 500,
	STACK_SIZE = 128 << 10,
	GUARD_SIZE = 4 << 10,
};

static void fiber_main(struct fiber *f);

#if defined(__x86_64__) && defined(__LP64__) && !defined(FIBER_PORTABLE)
#define FIBER_CAN_SAVE 1

/*
 * Saves the callee-saved registers on this stack and its pointer in *save, then goes on where `to`
 * was saved. The control words of the FPU are part of the ABI's callee-saved state too, but no code
 * under the checker changes them. A fresh stack holds fiber_entry as the return address, the fiber
 * in rbx, and fiber_main in r12: assembly names nothing of C, which -flto would not see.
 */
void fiber_swap(void **save, void *to);
void fiber_entry(void);

__asm__(".pushsection .text\n"
	".globl fiber_swap\n"
	".hidden fiber_swap\n"
	".type fiber_swap, @function\n"
	"fiber_swap:\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	ret\n"
	".size fiber_swap, . - fiber_swap\n"
	".globl fiber_entry\n"
	".hidden fiber_entry\n"
	".type fiber_entry, @function\n"
	"fiber_entry:\n"
	"	movq %rbx, %rdi\n"
	"	call *%r12\n"
	"	ud2\n"
	".size fiber_entry, . - fiber_entry\n"
	".popsection\n");

static void *first_frame(struct fiber *f)
{
	/*
	 * As fiber_swap() leaves it: r15 to r12, rbx, rbp, the return address. That leaves the
	 * stack pointer two words below the top: aligned to 16, as fiber_entry needs it for its
	 * call.
	 */
	void **sp = (void **)f->top - 9;

	sp[3] = (void *)(uintptr_t)fiber_main;
	sp[4] = f;
	sp[6] = (void *)(uintptr_t)fiber_entry;
	return sp;
}
#else
#define FIBER_CAN_SAVE 0

/*
 * Other machines: the C library's contexts, each a system call and some hundred instructions
 * slower. A context lies on the stack of who waits, as the registers do above; a fresh one at the
 * top of the fiber's own stack.
 */
static void fiber_swap(void **save, void *to)
{
	ucontext_t here;

	*save = &here;
	swapcontext(&here, to);
}

/* makecontext() passes ints: a pointer takes two. */
static void fiber_entry(unsigned int high, unsigned int low)
{
	fiber_main((struct fiber *)(uintptr_t)((uint64_t)high << 32 | low));
}

static void *first_frame(struct fiber *f)
{
	uint64_t self = (uintptr_t)f;
	ucontext_t *first = (ucontext_t *)f->top - 1;

	getcontext(first);
	first->uc_link = NULL;
	first->uc_stack.ss_sp = f->stack;
	first->uc_stack.ss_size = (size_t)((char *)first - f->stack);
	makecontext(first, (void (*)(void))fiber_entry, 2, (unsigned int)(self >> 32),
		    (unsigned int)self);
	return first;
}
#endif

bool fiber_init(struct fiber *f)
{
	char *map = mmap(NULL, GUARD_SIZE + STACK_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	memset(f, 0, sizeof(*f));
	if (map == MAP_FAILED)
		return false;
	if (mprotect(map, GUARD_SIZE, PROT_NONE)) {
		munmap(map, GUARD_SIZE + STACK_SIZE);
		return false;
	}
	f->stack = map + GUARD_SIZE;
	f->top = f->stack + STACK_SIZE;
	f->valgrind = VALGRIND_STACK_REGISTER(f->stack, f->top);
	return true;
}

void fiber_fini(struct fiber *f)
{
#ifdef FIBER_TSAN
	if (f->tsan)
		__tsan_destroy_fiber(f->tsan);
#endif
#ifdef FIBER_ASAN
	/* Frames that were dropped; the next mapping here must not inherit what they left. */
	if (f->stack)
		__asan_unpoison_memory_region(f->stack, STACK_SIZE);
#endif
	if (f->stack) {
		VALGRIND_STACK_DEREGISTER(f->valgrind);
		munmap(f->stack - GUARD_SIZE, GUARD_SIZE + STACK_SIZE);
	}
	memset(f, 0, sizeof(*f));
}

void fiber_start(struct fiber *f, void (*run)(void *arg), void *arg)
{
#ifdef FIBER_ASAN
	__asan_unpoison_memory_region(f->stack, STACK_SIZE);
#endif
	f->run = run;
	f->arg = arg;
	f->fake = NULL;
	f->sp = first_frame(f);
#ifdef FIBER_TSAN
	/* A dropped run leaves its calls on TSan's own stack; a new one is slow to make. */
	if (f->starts++ % TSAN_STARTS == 0) {
		if (f->tsan)
			__tsan_destroy_fiber(f->tsan);
		f->tsan = __tsan_create_fiber(0);
	}
#endif
}

bool fiber_can_save(void)
{
#if defined(FIBER_ASAN) || defined(FIBER_TSAN)
	return false;
#else
	return FIBER_CAN_SAVE && !RUNNING_ON_VALGRIND;
#endif
}

bool fiber_resume(struct fiber *f)
{
	void *sp = f->sp;
#ifdef FIBER_ASAN
	void *fake;

	__sanitizer_start_switch_fiber(&fake, f->stack, STACK_SIZE);
#endif
#ifdef FIBER_TSAN
	f->tsan_caller = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(f->tsan, 0);
#endif
	f->sp = NULL;
	fiber_swap(&f->caller, sp);
#ifdef FIBER_ASAN
	__sanitizer_finish_switch_fiber(fake, NULL, NULL);
#endif
	return f->sp != NULL;
}

void fiber_yield(struct fiber *f)
{
#ifdef FIBER_ASAN
	__sanitizer_start_switch_fiber(&f->fake, f->caller_bottom, f->caller_size);
#endif
#ifdef FIBER_TSAN
	__tsan_switch_to_fiber(f->tsan_caller, 0);
#endif
	fiber_swap(&f->sp, f->caller);
#ifdef FIBER_ASAN
	__sanitizer_finish_switch_fiber(f->fake, &f->caller_bottom, &f->caller_size);
#endif
}

static void fiber_main(struct fiber *f)
{
	void *unused;

#ifdef FIBER_ASAN
	__sanitizer_finish_switch_fiber(NULL, &f->caller_bottom, &f->caller_size);
#endif
	f->run(f->arg);
#ifdef FIBER_ASAN
	__sanitizer_start_switch_fiber(NULL, f->caller_bottom, f->caller_size);
#endif
#ifdef FIBER_TSAN
	__tsan_switch_to_fiber(f->tsan_caller, 0);
#endif
	/* f->sp stays NULL: it has ended, and nothing resumes what is saved here. */
	fiber_swap(&unused, f->caller);
	abort();
}
