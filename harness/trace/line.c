// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include "line.h"

#define DEADLINE_MSR 0x6e0

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The value of a hexadecimal digit, plus 16; 0: none. */
static const unsigned char hex_digit[256] = {
	['0'] = 16, ['1'] = 17, ['2'] = 18, ['3'] = 19, ['4'] = 20, ['5'] = 21,
	['6'] = 22, ['7'] = 23, ['8'] = 24, ['9'] = 25, ['a'] = 26, ['b'] = 27,
	['c'] = 28, ['d'] = 29, ['e'] = 30, ['f'] = 31, ['A'] = 26, ['B'] = 27,
	['C'] = 28, ['D'] = 29, ['E'] = 30, ['F'] = 31,
};

static const char *skip_spaces(const char *p, const char *e)
{
	while (p < e && is_space(*p))
		p++;
	return p;
}

static const char *skip_spaces_back(const char *p, const char *from)
{
	while (from > p && is_space(from[-1]))
		from--;
	return from;
}

static const char *skip_token_back(const char *p, const char *from)
{
	while (from > p && !is_space(from[-1]))
		from--;
	return from;
}

/* Skip @word at @*p, if it stands there. */
static bool take(const char **p, const char *e, const char *word, size_t len)
{
	if ((size_t)(e - *p) < len || memcmp(*p, word, len))
		return false;
	*p += len;
	return true;
}

#define TAKE(p, e, word) take(p, e, word, sizeof(word) - 1)

/* Nothing but up to 16 hexadecimal digits, as at the end of nearly every line? */
static inline bool only_hex(const char *p, const char *e, uint64_t *value)
{
	size_t n = (size_t)(e - p);
	unsigned int all = 16;
	uint64_t v = 0;

	if (n == 0 || n > 16)
		return false;
	/* The table's values are 16 too large: what that adds up to is taken off at the end. */
	for (size_t i = 0; i < n; i++) {
		unsigned int d = hex_digit[(unsigned char)p[i]];

		all &= d;
		v = (v << 4) + d;
	}
	*value = v - (0x1111111111111111ULL >> (64 - 4 * n) << 4);
	return all != 0;
}

/* Return: how many digits there were; more than @max: none is used. */
static unsigned int take_hex(const char **p, const char *e, unsigned int max, uint64_t *value)
{
	const char *q = *p;
	uint64_t v = 0;
	unsigned int n;

	for (; q < e; q++) {
		unsigned int d = hex_digit[(unsigned char)*q];

		if (!d)
			break;
		v = v << 4 | (d & 15);
	}
	n = (unsigned int)(q - *p);
	if (n > max)
		return 0;
	*p = q;
	*value = v;
	return n;
}

/* A decimal number without sign; false where there is none, or one of more than 19 digits. */
static bool take_decimal(const char **p, const char *e, uint64_t *value)
{
	const char *q = *p;
	uint64_t v = 0;

	while (q < e && is_digit(*q))
		v = v * 10 + (uint64_t)(*q++ - '0');
	if (q == *p || q - *p > 19)
		return false;
	*p = q;
	*value = v;
	return true;
}

/*
 * One to eight decimal digits from @p up to @e at once; there must be eight bytes before @e.
 * False where they are not all digits. For little-endian machines, as x86 is.
 */
static inline bool digits_before(const char *p, const char *e, uint64_t *value)
{
	const uint64_t zeros = 0x3030303030303030;
	unsigned int unused = 64 - 8 * (unsigned int)(e - p);
	uint64_t v;

	memcpy(&v, e - 8, 8);
	/* The first digit is in the lowest byte; what lies before it becomes '0'. */
	if (unused)
		v = v >> unused << unused | zeros >> (64 - unused);
	if (((v & 0xf0f0f0f0f0f0f0f0) | ((v + 0x0606060606060606) & 0xf0f0f0f0f0f0f0f0) >> 4) !=
	    (zeros | zeros >> 4))
		return false;
	/* Pairs, then fours, then all. */
	v = ((v & 0x0f0f0f0f0f0f0f0f) * (10 * 256 + 1)) >> 8;
	v = ((v & 0x00ff00ff00ff00ff) * (100 * 65536 + 1)) >> 16;
	*value = ((v & 0x0000ffff0000ffff) * (10000 * 4294967296 + 1)) >> 32;
	return true;
}

/* Where the parts of "comm-pid [cpu] flags time:" are. */
struct header {
	const char *line;
	const char *before_cpu; /* end of the thread's name and id; NULL: latency format */
	const char *ts, *ts_end;
	const char *point; /* the decimal point, or NULL */
	bool micro; /* latency format: microseconds */
	unsigned int cpu;
};

/* "[007]", which ends at @end; "1d..h1..", where the latency format has CPU and flags. */
static bool parse_cpu(const char *p, const char *end, struct header *h)
{
	const char *q = end;
	uint64_t cpu;

	if (end > p && end[-1] == ']') {
		q = end - 1;
		while (q > p && is_digit(q[-1]))
			q--;
		if (q == p || q[-1] != '[')
			return false;
		h->before_cpu = q - 1;
		if (!take_decimal(&q, end, &cpu) || cpu >= TRACE_MAX_CPUS)
			return false;
		h->cpu = (unsigned int)cpu;
		return true;
	}
	return false;
}

static bool parse_latency_cpu(const char *tok, const char *end, struct header *h)
{
	uint64_t cpu;

	if (!take_decimal(&tok, end, &cpu) || tok == end || cpu >= TRACE_MAX_CPUS)
		return false;
	for (; tok < end; tok++) {
		bool letter = (*tok | 0x20) >= 'a' && (*tok | 0x20) <= 'z';

		if (!letter && !is_digit(*tok) && *tok != '.' && *tok != '#')
			return false;
	}
	h->before_cpu = NULL;
	h->cpu = (unsigned int)cpu;
	return true;
}

/* Does a time stamp end at @colon, with a CPU before it? */
static bool parse_header(const char *p, const char *colon, struct header *h)
{
	const char *q = colon;

	h->line = p;
	h->micro = colon - p > 3 && colon[-2] == 's' && colon[-3] == 'u' &&
		   memchr(" !+#*@$", colon[-1], 7);
	if (h->micro)
		q -= 3;
	h->ts_end = q;
	h->point = NULL;
	while (q > p && (is_digit(q[-1]) || (q[-1] == '.' && !h->point))) {
		q--;
		if (*q == '.')
			h->point = q;
	}
	h->ts = q;
	if (q == h->ts_end || q == p || h->point == q || h->point == h->ts_end - 1 ||
	    !(is_space(q[-1]) || q[-1] == ']'))
		return false;

	q = skip_spaces_back(p, q);
	if (parse_cpu(p, q, h))
		return true;
	/* Flags, or none of it. */
	h->before_cpu = skip_token_back(p, q);
	if (parse_cpu(p, skip_spaces_back(p, h->before_cpu), h))
		return true;
	return parse_latency_cpu(h->before_cpu, q, h);
}

static bool parse_ts(const struct header *h, struct trace_line *out)
{
	const char *p = h->ts;
	uint64_t v, scale = 1000000000;

	out->cycles = !h->micro && !h->point;
	if (out->cycles && h->ts_end - p > 8 && h->ts_end - p <= 16 && h->ts_end - h->line >= 16) {
		uint64_t high;

		if (!digits_before(p, h->ts_end - 8, &high) ||
		    !digits_before(h->ts_end - 8, h->ts_end, &v))
			return false;
		out->ts = high * 100000000 + v;
		return true;
	}
	if (!take_decimal(&p, h->point ? h->point : h->ts_end, &v) ||
	    p != (h->point ? h->point : h->ts_end))
		return false;
	if (h->micro) {
		out->ts = v * 1000;
		return v <= UINT64_MAX / 1000;
	}
	if (h->point) {
		if (v > UINT64_MAX / scale - 1)
			return false;
		v *= scale;
		for (p = h->point + 1; p < h->ts_end; p++) {
			if (!is_digit(*p))
				return false;
			scale /= 10;
			v += scale * (uint64_t)(*p - '0');
		}
	}
	out->ts = v;
	return true;
}

/* What the name that ends at @end says: "CPU 3/KVM" (QEMU), "fc_vcpu 3" (Firecracker); or -1. */
static int vcpu_of_name(const char *p, const char *end)
{
	static const struct {
		const char *before, *after;
	} names[] = { { "CPU ", "/KVM" }, { "fc_vcpu ", "" } };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t before = strlen(names[i].before), after = strlen(names[i].after);
		const char *digits_end, *digits, *q;
		uint64_t n;

		if ((size_t)(end - p) < before + after ||
		    memcmp(end - after, names[i].after, after))
			continue;
		digits_end = end - after;
		digits = digits_end;
		while (digits > p && is_digit(digits[-1]))
			digits--;
		q = digits;
		if ((size_t)(digits - p) >= before &&
		    !memcmp(digits - before, names[i].before, before) &&
		    take_decimal(&q, digits_end, &n) && n < TRACE_MAX_CPUS)
			return (int)n;
	}
	return -1;
}

/* "comm-123 ", "comm-123 (  120) ", "comm 123 ", "comm 123 d... ": @h->before_cpu is its end. */
static void parse_thread(const char *p, const struct header *h, struct trace_line *out)
{
	const char *end, *tok, *q;
	uint64_t n;

	out->tid = -1;
	out->vcpu = -1;
	if (!h->before_cpu)
		return;
	end = skip_spaces_back(p, h->before_cpu);
	if (end > p && end[-1] == ')') {
		while (end > p && end[-1] != '(')
			end--;
		end = skip_spaces_back(p, end > p ? end - 1 : p);
	}
	for (int i = 0;; i++) {
		tok = end;
		while (tok > p && is_digit(tok[-1]))
			tok--;
		if (tok < end && tok > p && (is_space(tok[-1]) || tok[-1] == '-'))
			break;
		if (i == 1)
			return;
		/* These were flags. */
		end = skip_spaces_back(p, skip_token_back(p, end));
	}
	q = tok;
	if (!take_decimal(&q, end, &n) || q != end || n > INT32_MAX)
		return;
	out->tid = (int64_t)n;

	out->vcpu = vcpu_of_name(p, skip_spaces_back(p, tok[-1] == '-' ? tok - 1 : tok));
}

/* The value, and that nothing is stuck to it; then perhaps a word that the write failed. */
static enum trace_line_kind parse_value(const char *p, const char *e, struct trace_line *out)
{
	if (only_hex(p, e, &out->value)) {
		out->value_digits = (unsigned int)(e - p);
		return TRACE_LINE_WRITE;
	}
	out->value_digits = take_hex(&p, e, 16, &out->value);
	if (!out->value_digits || (p < e && !is_space(*p)))
		return TRACE_LINE_DAMAGED;
	p = skip_spaces(p, e);
	if (TAKE(&p, e, "#GP") || TAKE(&p, e, "(#GP)"))
		return TRACE_LINE_FAILED;
	return TRACE_LINE_WRITE;
}

/* "6e0, value 1690ef7e8f9" */
static enum trace_line_kind parse_write_msr(const char *p, const char *e, struct trace_line *out)
{
	uint64_t msr;

	p = skip_spaces(p, e);
	if (!take_hex(&p, e, 8, &msr) || !TAKE(&p, e, ", value "))
		return TRACE_LINE_DAMAGED;
	return msr == DEADLINE_MSR ? parse_value(p, e, out) : TRACE_LINE_OTHER_MSR;
}

/* "msr_write 6e0 = 0x81cba98c958c9" */
static enum trace_line_kind parse_kvm_msr(const char *p, const char *e, struct trace_line *out)
{
	enum trace_line_kind kind;
	uint64_t msr;

	p = skip_spaces(p, e);
	if (TAKE(&p, e, "msr_read "))
		return TRACE_LINE_OTHER_MSR;
	if (!TAKE(&p, e, "msr_write ") || !take_hex(&p, e, 8, &msr) || !TAKE(&p, e, " = 0x"))
		return TRACE_LINE_DAMAGED;
	if (msr != DEADLINE_MSR)
		return TRACE_LINE_OTHER_MSR;
	kind = parse_value(p, e, out);
	return kind == TRACE_LINE_WRITE ? TRACE_LINE_HOST_WRITE : kind;
}

/* kvm_entry and kvm_exit: "vcpu 1, rip 0x..." , "vcpu 1 reason MSR_WRITE ..." */
static enum trace_line_kind parse_vcpu(const char *p, const char *e, struct trace_line *out)
{
	uint64_t n;

	p = skip_spaces(p, e);
	if (!TAKE(&p, e, "vcpu ") || !take_decimal(&p, e, &n) || n >= TRACE_MAX_CPUS)
		return TRACE_LINE_OTHER_EVENT;
	out->vcpu = (int)n;
	return TRACE_LINE_VCPU;
}

/* What follows the time stamp. */
static void parse_event(const char *p, const char *e, const struct header *h,
			struct trace_line *out)
{
	const char *q;
	uint64_t period;
	int vcpu;

	out->cpu = h->cpu;
	if (TAKE(&p, e, " write_msr: 6e0, value ")) {
		out->kind = parse_value(p, e, out);
		if (!parse_ts(h, out))
			out->kind = TRACE_LINE_DAMAGED;
		return;
	}
	p = skip_spaces(p, e);
	q = p;
	if (take_decimal(&q, e, &period) && q < e && is_space(*q))
		p = skip_spaces(q, e); /* perf script's period */
	out->kind = TRACE_LINE_OTHER_EVENT;
	/* Most events are none of those below: one look tells. */
	if (p == e || !memchr("wmlikP", *p, 6))
		return;
	if (TAKE(&p, e, "write_msr:") || TAKE(&p, e, "msr:write_msr:")) {
		out->kind = parse_write_msr(p, e, out);
	} else if (TAKE(&p, e, "local_timer_entry:") ||
		   TAKE(&p, e, "irq_vectors:local_timer_entry:")) {
		out->kind = TRACE_LINE_TIMER_IRQ;
	} else if (TAKE(&p, e, "kvm_msr:") || TAKE(&p, e, "kvm:kvm_msr:")) {
		out->kind = parse_kvm_msr(p, e, out);
		parse_thread(h->line, h, out);
	} else if (TAKE(&p, e, "kvm_entry:") || TAKE(&p, e, "kvm:kvm_entry:") ||
		   TAKE(&p, e, "kvm_exit:") || TAKE(&p, e, "kvm:kvm_exit:")) {
		out->kind = parse_vcpu(p, e, out);
		vcpu = out->vcpu;
		parse_thread(h->line, h, out);
		out->vcpu = vcpu;
		return;
	} else if (TAKE(&p, e, "PERF_RECORD_LOST lost ")) {
		out->kind = TRACE_LINE_LOST;
		out->value = 0;
		take_decimal(&p, e, &out->value);
		return;
	} else {
		return;
	}
	if (out->kind != TRACE_LINE_OTHER_MSR && !parse_ts(h, out))
		out->kind = TRACE_LINE_DAMAGED;
}

/* "CPU:1 [LOST 12 EVENTS]", "CPU:1 [LOST EVENTS]"; trace-cmd: "CPU:1 [12 EVENTS DROPPED]" */
static bool parse_lost(const char *p, const char *e, struct trace_line *out)
{
	uint64_t cpu, n = 0;
	bool lost;

	if (!TAKE(&p, e, "CPU:") || !take_decimal(&p, e, &cpu) || cpu >= TRACE_MAX_CPUS)
		return false;
	p = skip_spaces(p, e);
	if (!TAKE(&p, e, "["))
		return false;
	lost = TAKE(&p, e, "LOST");
	p = skip_spaces(p, e);
	take_decimal(&p, e, &n);
	p = skip_spaces(p, e);
	if (!lost && !TAKE(&p, e, "EVENTS DROPPED"))
		return false;
	*out = (struct trace_line){ .kind = TRACE_LINE_LOST, .cpu = (unsigned int)cpu, .value = n };
	return true;
}

/* A line without a time stamp and a CPU. */
static enum trace_line_kind parse_other(const char *p, const char *e)
{
	static const char *const headers[] = { "#", "cpus=", "version = " };
	size_t len = (size_t)(e - p);
	const char *q = skip_spaces(p, e);

	if (q == e)
		return TRACE_LINE_COMMENT;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		if (take(&q, e, headers[i], strlen(headers[i])))
			return TRACE_LINE_COMMENT;
	}
	if (memmem(p, len, "write_msr:", 10) || memmem(p, len, "msr_write ", 10))
		return TRACE_LINE_DAMAGED;
	return TRACE_LINE_UNKNOWN;
}

/* Has this line its parts in the columns where the line before had them? */
static bool same_layout(const struct trace_layout *l, const char *p, const char *e,
			struct header *h)
{
	const char *q;
	uint64_t cpu;

	if (!l->ts_end || (size_t)(e - p) < l->ts_end + 2 || p[l->ts_end] != ':' ||
	    !is_space(p[l->ts_end + 1]) || p[l->cpu_end] != ']' || p[l->cpu] != '[' ||
	    !(is_space(p[l->ts - 1]) || p[l->ts - 1] == ']') || !is_digit(p[l->ts]) ||
	    !is_digit(p[l->ts_end - 1]))
		return false;
	q = p + l->cpu + 1;
	if (l->cpu_end - l->cpu == 4 && is_digit(q[0]) && is_digit(q[1]) && is_digit(q[2]))
		cpu = (uint64_t)(q[0] * 100 + q[1] * 10 + q[2] - '0' * 111);
	else if (!take_decimal(&q, p + l->cpu_end, &cpu) || *q != ']' || cpu >= TRACE_MAX_CPUS)
		return false;
	if (l->point && p[l->point] != '.')
		return false;
	h->line = p;
	h->before_cpu = p + l->cpu;
	h->ts = p + l->ts;
	h->ts_end = p + l->ts_end;
	h->point = l->point ? p + l->point : NULL;
	h->micro = false;
	h->cpu = (unsigned int)cpu;
	return true;
}

static void learn_layout(struct trace_layout *l, const char *p, const char *colon,
			 const struct header *h)
{
	*l = (struct trace_layout){ 0 };
	if (!h->before_cpu || h->micro)
		return;
	l->cpu = (unsigned int)(h->before_cpu - p);
	l->cpu_end = (unsigned int)((const char *)memchr(h->before_cpu, ']',
							 (size_t)(colon - h->before_cpu)) -
				    p);
	l->ts = (unsigned int)(h->ts - p);
	l->ts_end = (unsigned int)(colon - p);
	l->point = h->point ? (unsigned int)(h->point - p) : 0;
}

void trace_line_parse(struct trace_layout *layout, const char *p, const char *e,
		      struct trace_line *out)
{
	struct header h;

	if (same_layout(layout, p, e, &h)) {
		parse_event(h.ts_end + 1, e, &h, out);
		return;
	}
	if (p < e && *p == 'C' && parse_lost(p, e, out))
		return;
	/* The time stamp is the first thing that ends in a colon and has a CPU before it. */
	for (const char *c = p; (c = memchr(c, ':', (size_t)(e - c))); c++) {
		bool blank_follows = c + 1 == e || is_space(c[1]);

		if (blank_follows && c > p && parse_header(p, c, &h)) {
			learn_layout(layout, p, c, &h);
			parse_event(c + 1, e, &h, out);
			return;
		}
	}
	out->kind = parse_other(p, e);
}
