// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include "line.h"

#define DEADLINE_MSR 0x6e0
/* 0x6e0 in decimal digits, read as hexadecimal ones. No CPU has an MSR of that number. */
#define DEADLINE_MSR_DECIMAL 0x1760
/*
 * Lines no longer than this hold no second event: behind a value, behind the name of an event that
 * is read, and from the name of another one.
 */
#define LONGEST_NOTE  24
#define LONGEST_EVENT 60
#define LONGEST_OTHER 170
/* The longest name of a thread; latency format cuts it. */
#define LONGEST_NAME 15
#define SHORT_NAME   8

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

/* Skip @word at @*p, if it stands there. Inline, so that a known word is compared in place. */
static inline __attribute__((always_inline)) bool take(const char **p, const char *e,
						       const char *word, size_t len)
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
	const char *before_cpu; /* end of the thread's name and id; NULL: no CPU */
	const char *ts, *ts_end;
	const char *point; /* the decimal point, or NULL */
	bool micro; /* latency format: microseconds */
	bool latency; /* CPU and flags are one word */
	bool short_name; /* and the thread's name has up to eight letters */
	bool hex; /* verbose: microseconds or a count, hexadecimal, in brackets */
	bool milli; /* perf trace: milliseconds */
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
		h->latency = false;
		if (!take_decimal(&q, end, &cpu) || cpu >= TRACE_MAX_CPUS)
			return false;
		h->cpu = (unsigned int)cpu;
		return true;
	}
	return false;
}

/* perf script -F +tod: "2024-04-24 17:01:05.000000", which ends at @end. Return: its start. */
static const char *skip_date_back(const char *p, const char *end)
{
	static const char form[] = "dddd-dd-dd dd:dd:dd.";
	const char *q = end;

	while (q > p && is_digit(q[-1]))
		q--;
	if ((size_t)(q - p) < sizeof(form) - 1)
		return end;
	q -= sizeof(form) - 1;
	for (size_t i = 0; i < sizeof(form) - 1; i++) {
		if (form[i] == 'd' ? !is_digit(q[i]) : q[i] != form[i])
			return end;
	}
	return skip_spaces_back(p, q);
}

/* Blanks, then digits, which end at @end. */
static bool is_column(const char *p, const char *end)
{
	while (p < end && *p == ' ')
		p++;
	if (p == end)
		return false;
	while (p < end && is_digit(*p))
		p++;
	return p == end;
}

/*
 * perf script -L: "%8.8s %7d %3d", or with the process "%8.8s %7d/%-7d %3d". Only these columns
 * tell the CPU from a thread's id.
 */
static bool parse_perf_latency(const char *p, const char *end, struct header *h)
{
	uint64_t cpu;

	if ((end - p != 20 && end - p != 28) || p[8] != ' ' || !is_column(p + 9, p + 16) ||
	    p[16] != (end - p == 20 ? ' ' : '/') || end[-4] != ' ' || !is_column(end - 3, end))
		return false;
	p = skip_spaces(end - 3, end);
	if (!take_decimal(&p, end, &cpu) || cpu >= TRACE_MAX_CPUS)
		return false;
	h->before_cpu = end - 3;
	h->latency = true;
	h->short_name = true;
	h->cpu = (unsigned int)cpu;
	return true;
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
	h->latency = true;
	h->short_name = true;
	h->cpu = (unsigned int)cpu;
	return true;
}

/*
 * "comm 123 0 9 00000000 00000002 [0000000000000004] 3 (+1)" up to @colon: latency format with the
 * option verbose. The brackets hold the whole time, in microseconds where the rest is "ms".
 */
static bool parse_verbose(const char *p, const char *colon, struct header *h)
{
	const char *open = colon, *q, *tok;
	uint64_t cpu, idx;

	while (open > p && *open != '[')
		open--;
	q = open + 1;
	if (open == p || !take_hex(&q, colon, 16, &idx) || q == colon || *q != ']')
		return false;
	*h = (struct header){ .line = p, .ts = open + 1, .ts_end = q, .hex = true };
	h->latency = true;
	h->micro = colon[-2] == 's';
	/* Before them an index, the preempt count, flags, and the CPU. */
	q = open;
	for (int i = 0; i < 4; i++) {
		q = skip_spaces_back(p, q);
		tok = skip_token_back(p, q);
		if (i == 3) {
			h->before_cpu = tok;
			if (!take_decimal(&tok, q, &cpu) || tok != q || cpu >= TRACE_MAX_CPUS)
				return false;
			h->cpu = (unsigned int)cpu;
			return true;
		}
		q = tok;
	}
	return false;
}

/*
 * Does a time stamp end at @colon, with a CPU before it? A host's events tell their thread, so
 * they need no CPU.
 */
static bool parse_header(const char *p, const char *colon, const char *e, struct header *h)
{
	const char *q = colon, *date;

	if (colon[-1] == ')' && parse_verbose(p, colon, h))
		return true;
	h->line = p;
	h->hex = false;
	h->milli = false;
	h->short_name = false;
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
	if (q == h->ts_end || h->point == q || h->point == h->ts_end - 1 ||
	    (q > p && !is_space(q[-1]) && q[-1] != ']'))
		return false;

	q = skip_spaces_back(p, q);
	if (parse_cpu(p, q, h))
		return true;
	/* Flags, or none of it. */
	h->before_cpu = skip_token_back(p, q);
	if (parse_cpu(p, skip_spaces_back(p, h->before_cpu), h))
		return true;
	if (parse_latency_cpu(h->before_cpu, q, h))
		return true;
	if (!h->point)
		return false;
	date = skip_date_back(p, q);
	if ((date != q && parse_cpu(p, date, h)) || parse_perf_latency(p, date, h))
		return true;
	h->before_cpu = date != q ? date : h->ts;
	q = skip_spaces(colon + 1, e);
	if (!TAKE(&q, e, "kvm:kvm_"))
		return false;
	h->latency = true;
	h->cpu = 0;
	return true;
}

static bool parse_ts(const struct header *h, struct trace_line *out)
{
	const char *p = h->ts;
	uint64_t v = 0, scale = 1000000000;

	out->cycles = !h->micro && !h->point;
	out->micro = h->micro || (h->point && h->ts_end - h->point <= 7);
	out->relative = h->micro && !h->hex;
	if (out->cycles && !h->hex && h->ts_end - p > 8 && h->ts_end - p <= 16 &&
	    h->ts_end - h->line >= 16) {
		uint64_t high;

		if (!digits_before(p, h->ts_end - 8, &high) ||
		    !digits_before(h->ts_end - 8, h->ts_end, &v))
			return false;
		out->ts = high * 100000000 + v;
		return true;
	}
	if (h->hex) {
		take_hex(&p, h->ts_end, 16, &v);
	} else if (!take_decimal(&p, h->point ? h->point : h->ts_end, &v) ||
		   p != (h->point ? h->point : h->ts_end)) {
		return false;
	}
	if (h->micro) {
		out->ts = v * 1000;
		return v <= UINT64_MAX / 1000;
	}
	if (h->milli)
		scale = 1000000;
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
	/* Microseconds, or as milliseconds three decimals. */
	if (h->point && scale > 1000) {
		out->spoiled = TRACE_SPOILED_COARSE;
		return false;
	}
	/* No clock has run for 146 years: such a time is one below 0. */
	if (out->cycles || v < UINT64_MAX / 4)
		return true;
	out->spoiled = TRACE_SPOILED_BELOW_0;
	return false;
}

/*
 * What the name that ends at @end says: "CPU 3/KVM" (QEMU; a latency format cuts it), "fc_vcpu 3"
 * (Firecracker), "vcpu3" (cloud-hypervisor, crosvm), "kvm-vcpu-3" (kvmtool); or -1.
 */
static int vcpu_of_name(const char *p, const char *end)
{
	const char *q, *digits;
	uint64_t n;

	for (q = end; q > p && end - q <= 4 && q[-1] != '/'; q--)
		;
	if (q > p && q[-1] == '/' && end - q <= 3 && !memcmp(q, "KVM", (size_t)(end - q)))
		end = q - 1;
	else
		q = NULL;
	for (digits = end; digits > p && is_digit(digits[-1]); digits--)
		;
	p = digits - p > 8 ? digits - 8 : p;
	if (q && (digits - p < 4 || memcmp(digits - 4, "CPU ", 4)))
		return -1;
	if (!q) {
		const char *word = digits;

		if (word > p && (word[-1] == ' ' || word[-1] == '-' || word[-1] == '_'))
			word--;
		if (word - p < 4 || memcmp(word - 4, "vcpu", 4))
			return -1;
	}
	q = digits;
	return take_decimal(&q, end, &n) && n < TRACE_MAX_CPUS ? (int)n : -1;
}

int trace_line_vcpu(const char *name, size_t len)
{
	return vcpu_of_name(name, name + len);
}

/* A thread's or a process's id at @p. */
static bool take_id(const char **p, const char *e, int64_t *id)
{
	uint64_t n;

	if (!take_decimal(p, e, &n) || n > INT32_MAX)
		return false;
	*id = (int64_t)n;
	return true;
}

/*
 * "comm-123", "comm-123 (  120)", "comm 123", "comm 120/123", "comm 123 d...", up to @end. Sets
 * the ids; @name_end: where the name ends, or NULL.
 */
static void split_head(const char *p, const char *end, int64_t *pid, int64_t *tid,
		       const char **name_end)
{
	const char *tok, *q;

	*pid = *tid = -1;
	*name_end = NULL;
	end = skip_spaces_back(p, end);
	if (end > p && end[-1] == ')') {
		const char *close = end - 1;

		while (end > p && end[-1] != '(')
			end--;
		q = skip_spaces(end, close);
		take_id(&q, close, pid);
		end = skip_spaces_back(p, end > p ? end - 1 : p);
	}
	for (int i = 0;; i++) {
		tok = end;
		while (tok > p && is_digit(tok[-1]))
			tok--;
		if (tok < end &&
		    (tok == p || is_space(tok[-1]) || tok[-1] == '-' || tok[-1] == '/'))
			break;
		if (i == 1)
			return;
		/* These were flags. */
		end = skip_spaces_back(p, skip_token_back(p, end));
	}
	q = tok;
	if (!take_id(&q, end, tid) || q != end) {
		*tid = -1;
		return;
	}
	if (tok > p && tok[-1] == '/') {
		end = tok - 1;
		for (tok = end; tok > p && is_digit(tok[-1]); tok--)
			;
		q = tok;
		if (tok == p || !is_space(tok[-1]) || !take_id(&q, end, pid)) {
			/* perf trace: "comm/123" */
			*name_end = end;
			return;
		}
	}
	*name_end = skip_spaces_back(p, tok > p && tok[-1] == '-' ? tok - 1 : tok);
}

/*
 * The name in a line's first word, which ends at @end, its last colon included: "second:",
 * "trace.dat:", with grep's line number "trace.txt:12:". One without a letter is a number or a
 * time, which name nothing.
 */
static void set_label(const char *p, const char *end, struct trace_line *out)
{
	const char *name_end = end;

	do {
		end = name_end - 1;
		for (name_end = end; name_end > p && is_digit(name_end[-1]); name_end--)
			;
	} while (name_end > p && name_end < end && name_end[-1] == ':');
	for (const char *q = p; q < end; q++) {
		/* Any letter of another script counts. */
		if (!(*q & 0x80) && ((*q | 0x20) < 'a' || (*q | 0x20) > 'z'))
			continue;
		out->label = p;
		out->label_len = (size_t)(end - p);
		return;
	}
}

/*
 * trace-cmd's "second:  comm-123": the buffer's name. It pads the thread's name to its longest, so
 * what is no longer than that is a thread's name with a colon.
 */
static void parse_label(const struct header *h, struct trace_line *out)
{
	const char *p = h->line, *end = h->before_cpu, *name_end, *word;
	int64_t pid, tid;

	if (!memchr(p, ':', (size_t)(end - p)))
		return;
	p = skip_spaces(p, end);
	for (word = p; word < end && !is_space(*word); word++)
		;
	if (word == end || word - p < 2 || word[-1] != ':')
		return;
	split_head(p, end, &pid, &tid, &name_end);
	if (name_end && name_end - p <= (h->short_name ? SHORT_NAME : LONGEST_NAME))
		return;
	set_label(p, word, out);
	out->head = word;
}

bool trace_line_task(const struct trace_line *l, const char **name, size_t *len)
{
	const char *p = l->head, *end;
	int64_t pid, tid;

	if (l->task) {
		*name = l->task;
		*len = l->task_len;
		return true;
	}
	split_head(p, l->head_end, &pid, &tid, &end);
	if (!end)
		return false;
	p = skip_spaces(p, end);
	if (p == end)
		return false;
	*name = p;
	*len = (size_t)(end - p);
	return true;
}

static void parse_thread(const struct header *h, struct trace_line *out)
{
	const char *end;

	split_head(h->line, h->before_cpu, &out->pid, &out->tid, &end);
	out->vcpu = end ? vcpu_of_name(h->line, end) : -1;
}

/*
 * The number of field @name in what ftrace's option fields ("msr=0x6e0 (1760)"), trace-cmd report
 * -R ("msr=6e0", of older versions "msr=1760") and perf trace ("msr: 0x6e0", "val:
 * 1760") print. @decimal: what has "=" and no 0x. Of a negative number: its amount.
 */
static bool field_as(const char *p, const char *e, const char *name, bool decimal, uint64_t *value)
{
	size_t len = strlen(name);

	/* A name at the end of the line leaves p there: nothing is beyond. */
	for (; p < e; p++) {
		p = memmem(p, (size_t)(e - p), name, len);
		if (!p)
			return false;
		if (!is_space(p[-1]) && p[-1] != '(')
			continue;
		p += len;
		if (p < e && *p == '=') {
			p++;
			TAKE(&p, e, "-");
			if (TAKE(&p, e, "0x") || !decimal)
				return take_hex(&p, e, 16, value) > 0;
			return take_decimal(&p, e, value);
		}
		if (p + 1 < e && *p == ':') {
			p = skip_spaces(p + 1, e);
			if (TAKE(&p, e, "0x"))
				return take_hex(&p, e, 16, value) > 0;
			return take_decimal(&p, e, value);
		}
	}
	return false;
}

static bool field(const char *p, const char *e, const char *name, uint64_t *value)
{
	return field_as(p, e, name, false, value);
}

/*
 * Does another event follow on a line that is longer than @most? Line ends were lost. Most lines
 * are shorter, and are not looked at.
 */
static bool joined(const char *p, const char *e, ptrdiff_t most)
{
	return e - p > most && (memmem(p, (size_t)(e - p), "_msr:", 5) ||
				memmem(p, (size_t)(e - p), "local_timer_entry:", 18));
}

static enum trace_line_kind are_joined(struct trace_line *out)
{
	out->spoiled = TRACE_SPOILED_JOINED;
	return TRACE_LINE_DAMAGED;
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
	if (joined(p, e, LONGEST_NOTE))
		return are_joined(out);
	if (TAKE(&p, e, "#GP") || TAKE(&p, e, "(#GP)"))
		return TRACE_LINE_FAILED;
	return TRACE_LINE_WRITE;
}

/* @p: behind the event's colon, or the bracket of perf trace. A write's value by its fields. */
static enum trace_line_kind parse_fields(const char *p, const char *e, const char *msr_name,
					 const char *value_name, const char *failed_name,
					 struct trace_line *out)
{
	uint64_t msr, failed;

	if (!field(p, e, msr_name, &msr))
		return TRACE_LINE_DAMAGED;
	if (msr != DEADLINE_MSR && msr != DEADLINE_MSR_DECIMAL)
		return TRACE_LINE_OTHER_MSR;
	if (!field_as(p, e, value_name, msr != DEADLINE_MSR, &out->value))
		return TRACE_LINE_DAMAGED;
	out->value_digits = 16;
	return field(p, e, failed_name, &failed) && failed ? TRACE_LINE_FAILED : TRACE_LINE_WRITE;
}

/* Nothing stands where the event's text should: perf script -F without trace. */
static enum trace_line_kind no_text(struct trace_line *out)
{
	out->spoiled = TRACE_SPOILED_TEXT;
	return TRACE_LINE_DAMAGED;
}

/* The line ends behind @word, where a value should follow. */
static bool ends_with(const char *p, const char *e, const char *word)
{
	return take(&p, e, word, strlen(word)) && skip_spaces(p, e) == e;
}

static enum trace_line_kind are_wrapped(struct trace_line *out)
{
	out->spoiled = TRACE_SPOILED_WRAPPED;
	return TRACE_LINE_DAMAGED;
}

/* "6e0, value 1690ef7e8f9"; of the kernel's decode_msr.py "MSR_IA32_TSC_DEADLINE(6e0), value 5" */
static enum trace_line_kind parse_write_msr(const char *p, const char *e, struct trace_line *out)
{
	bool named = false;
	const char *q;
	uint64_t msr;

	p = skip_spaces(p, e);
	if (p == e)
		return no_text(out);
	if (*p == 'm')
		return parse_fields(p - 1, e, "msr", "val", "failed", out);
	for (q = p; q < e && *q != ',' && !is_space(*q) && !named; q++)
		named = *q == '(';
	p = named ? q : p;
	if (ends_with(p, e, "6e0, value"))
		return are_wrapped(out);
	if (!take_hex(&p, e, 8, &msr) || (named && !TAKE(&p, e, ")")) || !TAKE(&p, e, ", value "))
		return TRACE_LINE_DAMAGED;
	return msr == DEADLINE_MSR ? parse_value(p, e, out) : TRACE_LINE_OTHER_MSR;
}

/* "6e0, value 1690ef7e8f9", "deadline=0x1690ef7e8f9 (1550734321913)" */
static enum trace_line_kind parse_skip(const char *p, const char *e, struct trace_line *out)
{
	p = skip_spaces(p, e);
	if (p == e)
		return no_text(out);
	if (*p == 'd') {
		out->value_digits = 16;
		return field(p - 1, e, "deadline", &out->value) ? TRACE_LINE_SKIP
								: TRACE_LINE_DAMAGED;
	}
	if (!TAKE(&p, e, "6e0, value ") || parse_value(p, e, out) != TRACE_LINE_WRITE)
		return TRACE_LINE_DAMAGED;
	return TRACE_LINE_SKIP;
}

/* "next_event=4879514970301 deferred=0"; KTIME_MAX: nothing is to come */
static enum trace_line_kind parse_rearm(const char *p, const char *e, struct trace_line *out)
{
	static const char name[] = " next_event=";
	const char *digits;

	p = skip_spaces(p, e);
	if (p == e)
		return no_text(out);
	/* The blank before the first field is there, too. */
	p = memmem(p - 1, (size_t)(e - p) + 1, name, sizeof(name) - 1);
	if (!p)
		return TRACE_LINE_DAMAGED;
	p += sizeof(name) - 1;
	digits = p;
	if (TAKE(&p, e, "0x")) {
		if (!take_hex(&p, e, 16, &out->value))
			return TRACE_LINE_DAMAGED;
	} else if (!take_decimal(&p, e, &out->value)) {
		return TRACE_LINE_DAMAGED;
	}
	if (p < e && !is_space(*p))
		return TRACE_LINE_DAMAGED;
	/* A line that goes on behind it is not cut. */
	out->value_digits = p < e ? 20 : (unsigned int)(p - digits);
	if (out->value >= INT64_MAX)
		out->value = 0;
	return TRACE_LINE_REARM;
}

/* "msr_write 6e0 = 0x81cba98c958c9" */
static enum trace_line_kind parse_kvm_msr(const char *p, const char *e, struct trace_line *out)
{
	enum trace_line_kind kind;
	uint64_t msr, write;

	p = skip_spaces(p, e);
	if (p == e)
		return no_text(out);
	if (*p == 'w') {
		if (!field(p - 1, e, "write", &write))
			return TRACE_LINE_DAMAGED;
		if (!write)
			return TRACE_LINE_OTHER_MSR;
		kind = parse_fields(p - 1, e, "ecx", "data", "exception", out);
		return kind == TRACE_LINE_WRITE ? TRACE_LINE_HOST_WRITE : kind;
	}
	if (TAKE(&p, e, "msr_read "))
		return TRACE_LINE_OTHER_MSR;
	if (ends_with(p, e, "msr_write 6e0 =") || ends_with(p, e, "msr_write 6e0") ||
	    ends_with(p, e, "msr_write"))
		return are_wrapped(out);
	if (!TAKE(&p, e, "msr_write ") || !take_hex(&p, e, 8, &msr) || !TAKE(&p, e, " = 0x"))
		return TRACE_LINE_DAMAGED;
	if (msr != DEADLINE_MSR)
		return TRACE_LINE_OTHER_MSR;
	kind = parse_value(p, e, out);
	return kind == TRACE_LINE_WRITE ? TRACE_LINE_HOST_WRITE : kind;
}

/* The reason's name: Intel's in capitals, AMD's not, or behind "EXIT_" (perf, trace-cmd). */
static enum trace_exit exit_by_name(const char *p, const char *e)
{
	static const struct {
		const char *name;
		enum trace_exit exit;
	} names[] = {
		{ "MSR_WRITE", TRACE_EXIT_MSR_WRITE },
		{ "MSR_WRITE_IMM", TRACE_EXIT_MSR_WRITE },
		{ "MSR_READ", TRACE_EXIT_MSR_READ },
		{ "MSR_READ_IMM", TRACE_EXIT_MSR_READ },
		{ "PREEMPTION_TIMER", TRACE_EXIT_PREEMPTION_TIMER },
		{ "HLT", TRACE_EXIT_HLT },
		{ "hlt", TRACE_EXIT_HLT },
		{ "EXIT_HLT", TRACE_EXIT_HLT },
		{ "EXTERNAL_INTERRUPT", TRACE_EXIT_EXTERNAL_INTERRUPT },
		{ "interrupt", TRACE_EXIT_EXTERNAL_INTERRUPT },
		{ "EXIT_INTR", TRACE_EXIT_EXTERNAL_INTERRUPT },
	};
	const char *end = p, *info;
	uint64_t n;

	/* A number that their list of names lacks. */
	if (TAKE(&p, e, "UNKNOWN ("))
		return take_decimal(&p, e, &n) ? trace_line_exit(n, 1, 0) : TRACE_EXIT_OTHER;
	while (end < e && !is_space(*end))
		end++;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strlen(names[i].name) == (size_t)(end - p) &&
		    !memcmp(p, names[i].name, (size_t)(end - p)))
			return names[i].exit;
	}
	TAKE(&p, end, "EXIT_");
	if (end - p != 3 || (memcmp(p, "msr", 3) && memcmp(p, "MSR", 3)))
		return TRACE_EXIT_OTHER;
	/* AMD: info1 tells. */
	info = memmem(end, (size_t)(e - end), " info", 5);
	if (!info)
		return TRACE_EXIT_MSR_WRITE;
	info += 5;
	while (info < e && !is_space(*info))
		info++;
	info = skip_spaces(info, e);
	TAKE(&info, e, "0x");
	while (info < e && *info == '0')
		info++;
	return info < e && *info == '1' ? TRACE_EXIT_MSR_WRITE : TRACE_EXIT_MSR_READ;
}

enum trace_exit trace_line_exit(uint64_t reason, uint64_t isa, uint64_t info1)
{
	if (isa != 1)
		return reason == 0x7c && info1 == 1 ? TRACE_EXIT_MSR_WRITE
		       : reason == 0x7c		    ? TRACE_EXIT_MSR_READ
		       : reason == 0x78		    ? TRACE_EXIT_HLT
		       : reason == 0x60		    ? TRACE_EXIT_EXTERNAL_INTERRUPT
						    : TRACE_EXIT_OTHER;
	switch (reason & 0xffff) {
	case 32:
	case 85:
		return TRACE_EXIT_MSR_WRITE;
	case 31:
	case 84:
		return TRACE_EXIT_MSR_READ;
	case 52:
		return TRACE_EXIT_PREEMPTION_TIMER;
	case 12:
		return TRACE_EXIT_HLT;
	case 1:
		return TRACE_EXIT_EXTERNAL_INTERRUPT;
	default:
		return TRACE_EXIT_OTHER;
	}
}

/*
 * kvm_entry and kvm_exit: "vcpu 1, rip 0x...", "vcpu 1 reason MSR_WRITE ...", "reason HLT ...". An
 * exit that has lost its reason is none that can be counted.
 */
static enum trace_line_kind parse_vcpu(const char *p, const char *e, bool entry,
				       struct trace_line *out)
{
	uint64_t n, isa = 1, info1 = 0;

	p = skip_spaces(p, e);
	out->vcpu = -1;
	out->exit = entry ? TRACE_EXIT_NONE : TRACE_EXIT_OTHER;
	if (TAKE(&p, e, "vcpu ")) {
		if (!take_decimal(&p, e, &n) || n >= TRACE_MAX_CPUS)
			return TRACE_LINE_OTHER_EVENT;
		out->vcpu = (int)n;
		p = skip_spaces(p, e);
	} else if (p < e && field(p - 1, e, "vcpu_id", &n) && n < TRACE_MAX_CPUS) {
		out->vcpu = (int)n;
	}
	if (entry)
		return TRACE_LINE_VCPU;
	if (TAKE(&p, e, "reason ") && (p = skip_spaces(p, e)) < e) {
		out->exit = exit_by_name(p, e);
		return TRACE_LINE_VCPU;
	}
	if (p < e && field(p - 1, e, "exit_reason", &n)) {
		field(p - 1, e, "isa", &isa);
		field(p - 1, e, "info1", &info1);
		out->exit = trace_line_exit(n, isa, info1);
		return TRACE_LINE_VCPU;
	}
	out->spoiled = p == e && out->vcpu < 0 ? TRACE_SPOILED_TEXT : TRACE_SPOILED_WRAPPED;
	return TRACE_LINE_UNKNOWN;
}

/* "apicid 0 vec 236 (Fixed|edge)", or the field, which older versions print in decimal digits */
static enum trace_line_kind parse_accept(const char *p, const char *e)
{
	uint64_t vector;
	bool ok;

	p = skip_spaces(p, e);
	if (TAKE(&p, e, "apicid "))
		ok = take_hex(&p, e, 8, &vector) && TAKE(&p, e, " vec ") &&
		     take_decimal(&p, e, &vector);
	else
		ok = p < e && (field(p - 1, e, "vec", &vector) && vector < 0x100
				       ? true
				       : field_as(p - 1, e, "vec", true, &vector));
	return ok && trace_line_is_timer(vector) ? TRACE_LINE_HOST_IRQ : TRACE_LINE_OTHER_EVENT;
}

/* "state=1 cpu_id=0", the state decimal in text and hexadecimal with 0x as a field */
static enum trace_line_kind parse_idle(const char *p, const char *e, struct trace_line *out)
{
	bool ok;

	p = skip_spaces(p, e);
	if (!TAKE(&p, e, "state="))
		return TRACE_LINE_OTHER_EVENT;
	if (TAKE(&p, e, "0x"))
		ok = take_hex(&p, e, 16, &out->value) > 0;
	else
		ok = take_decimal(&p, e, &out->value);
	if (out->value == UINT32_MAX)
		out->value = UINT64_MAX;
	return ok ? TRACE_LINE_IDLE : TRACE_LINE_OTHER_EVENT;
}

#define EVENT(p, e, system, name) (TAKE(p, e, name ":") || TAKE(p, e, system ":" name ":"))

/* What follows the time stamp. */
static void parse_event(const struct trace_layout *layout, const char *p, const char *e,
			const struct header *h, struct trace_line *out)
{
	const char *q;
	uint64_t period = 1;
	int vcpu;

	out->cpu = h->cpu;
	out->spoiled = TRACE_SPOILED_NOT;
	out->head = h->line;
	out->head_end = h->before_cpu;
	out->task = NULL;
	out->label = NULL;
	out->label_len = 0;
	if (TAKE(&p, e, " write_msr: 6e0, value ")) {
		out->kind = parse_value(p, e, out);
		parse_label(h, out);
		if (!parse_ts(h, out))
			out->kind = TRACE_LINE_DAMAGED;
		return;
	}
	p = skip_spaces(p, e);
	q = p;
	if (take_decimal(&q, e, &period) && q < e && is_space(*q))
		p = skip_spaces(q, e); /* perf script's period */
	else
		period = 1;
	if (p < e && *p == '(' && (q = memchr(p, ')', (size_t)(e - p))))
		p = skip_spaces(q + 1, e); /* trace-cmd's --ts-diff */
	TAKE(&p, e, "bpf_trace_printk: ");
	out->kind = TRACE_LINE_OTHER_EVENT;
	if (p == e)
		return;
	/* Most events are none of those below: one look tells. */
	if (!memchr("wmlikPhtpc6", *p, 11)) {
		/* Which MSR it is does not show. */
		if (*p == '\033' && (memmem(p, (size_t)(e - p), "_msr", 4) ||
				     memmem(p, (size_t)(e - p), "local_timer_entry", 17)))
			out->kind = TRACE_LINE_DAMAGED;
		if (joined(p, e, LONGEST_OTHER))
			out->kind = are_joined(out);
		return;
	}
	if (EVENT(&p, e, "msr", "write_msr")) {
		out->kind = parse_write_msr(p, e, out);
	} else if (EVENT(&p, e, "power", "cpu_idle")) {
		out->kind = layout->no_idle ? TRACE_LINE_OTHER_EVENT : parse_idle(p, e, out);
	} else if (EVENT(&p, e, "irq_vectors", "local_timer_entry")) {
		out->kind = TRACE_LINE_TIMER_IRQ;
	} else if (EVENT(&p, e, "kvm", "kvm_msr")) {
		out->kind = parse_kvm_msr(p, e, out);
		parse_thread(h, out);
	} else if (TAKE(&p, e, "msr_write ")) {
		/* perf script without the event's name */
		out->kind = parse_kvm_msr(p - 10, e, out);
		parse_thread(h, out);
	} else if (EVENT(&p, e, "kvm", "kvm_entry")) {
		out->kind = parse_vcpu(p, e, true, out);
	} else if (EVENT(&p, e, "kvm", "kvm_exit")) {
		out->kind = parse_vcpu(p, e, false, out);
	} else if (EVENT(&p, e, "kvm", "kvm_apic_accept_irq")) {
		out->kind = parse_accept(p, e);
		parse_thread(h, out);
	} else if (EVENT(&p, e, "lazytsc", "lazytsc_skip")) {
		out->kind = parse_skip(p, e, out);
	} else if (EVENT(&p, e, "lazytsc", "lazytsc_write")) {
		out->kind = parse_skip(p, e, out);
		if (out->kind == TRACE_LINE_SKIP)
			out->kind = TRACE_LINE_WRITE;
	} else if (EVENT(&p, e, "timer", "hrtimer_rearm")) {
		out->kind = parse_rearm(p, e, out);
	} else if (TAKE(&p, e, "6e0, value ")) {
		out->kind = TRACE_LINE_DAMAGED;
		out->spoiled = TRACE_SPOILED_EVENT;
		return;
	} else if (TAKE(&p, e, "PERF_RECORD_LOST lost ")) {
		out->kind = TRACE_LINE_LOST;
		out->value = 0;
		take_decimal(&p, e, &out->value);
		return;
	} else {
		if (joined(p, e, LONGEST_OTHER))
			out->kind = are_joined(out);
		return;
	}
	if (joined(p, e, LONGEST_EVENT) || (out->kind == TRACE_LINE_VCPU && e - p > LONGEST_EVENT &&
					    memmem(p, (size_t)(e - p), "kvm_e", 5)))
		out->kind = are_joined(out);
	if (period > 1 && out->kind != TRACE_LINE_OTHER_EVENT) {
		out->kind = TRACE_LINE_DAMAGED;
		out->spoiled = TRACE_SPOILED_SAMPLED;
	}
	if (out->kind == TRACE_LINE_VCPU) {
		vcpu = out->vcpu;
		parse_thread(h, out);
		if (vcpu >= 0)
			out->vcpu = vcpu;
	}
	if (out->kind == TRACE_LINE_OTHER_EVENT || out->kind == TRACE_LINE_UNKNOWN ||
	    (out->kind == TRACE_LINE_OTHER_MSR && layout->no_msr))
		return;
	parse_label(h, out);
	if (!parse_ts(h, out))
		out->kind = TRACE_LINE_DAMAGED;
}

/* What perf trace prints between brackets: it leaves out fields that are 0. */
static enum trace_line_kind parse_shown(const char *p, const char *e, struct trace_line *out)
{
	uint64_t n;

	if (e - p > 4 && !memcmp(p, "msr_", 4))
		return parse_kvm_msr(p, e, out);
	if (!field(p - 1, e, "write", &n) || !n || !field(p - 1, e, "ecx", &n))
		return TRACE_LINE_OTHER_MSR;
	if (!field(p - 1, e, "data", &n) && n == DEADLINE_MSR &&
	    !field(p - 1, e, "exception", &n)) {
		out->value = 0;
		return TRACE_LINE_HOST_WRITE;
	}
	return parse_kvm_msr(p, e, out);
}

/*
 * perf trace: "0.000 CPU 0/KVM/4100 kvm:kvm_msr(write: 1, ecx: 1760, data: 5)", milliseconds, or
 * "(msr_write 6e0 = 0x5)"; a guest's lacks the CPU.
 */
static bool parse_perf_trace(const char *p, const char *e, struct trace_line *out)
{
	const char *event = memmem(p, (size_t)(e - p), " kvm:kvm_msr(", 13), *q;
	/* Older versions: "0.000 kvm:kvm_msr:msr_write 6e0 = 0x5" */
	const char *old = event ? NULL : memmem(p, (size_t)(e - p), " kvm:kvm_msr:msr_", 17);
	struct header h = { .line = p, .milli = true, .latency = true };
	bool closed;

	if (!event)
		event = old;
	if (!event) {
		if (!memmem(p, (size_t)(e - p), " msr:write_msr(", 15))
			return false;
		*out = (struct trace_line){ .kind = TRACE_LINE_DAMAGED,
					    .spoiled = TRACE_SPOILED_PERF_TRACE };
		return true;
	}
	*out = (struct trace_line){ .kind = TRACE_LINE_DAMAGED };
	h.ts = skip_spaces(p, event);
	for (q = h.ts; q < event && (is_digit(*q) || *q == '.'); q++) {
		if (*q == '.')
			h.point = q;
	}
	h.ts_end = q;
	h.before_cpu = event;
	q = skip_spaces(q, event);
	if (q < event && *q == '(' && (q = memchr(q, ':', (size_t)(event - q))))
		h.line = q + 1; /* how long a system call took */
	if (memmem(event + 13, (size_t)(e - event) - 13, " kvm:kvm_msr", 12)) {
		are_joined(out);
		return true;
	}
	closed = e[-1] == ')';
	e -= closed;
	if (h.point && closed && !old)
		out->kind = parse_shown(event + 13, e, out);
	else if (h.point)
		out->kind = parse_kvm_msr(event + 13, e, out);
	parse_thread(&h, out);
	out->head = h.line;
	out->head_end = h.before_cpu;
	if (!h.point || !parse_ts(&h, out))
		out->kind = TRACE_LINE_DAMAGED;
	return true;
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

/* "** 25 printk messages dropped **" (the kernel); "Missed 25 kernel messages" (journald) */
static bool find_dropped(const char *p, const char *e, struct trace_line *out)
{
	const char *end = memmem(p, (size_t)(e - p), " printk messages dropped", 24), *q;
	uint64_t n = 0;

	if (!end)
		end = memmem(p, (size_t)(e - p), " kernel messages", 16);
	for (q = end; end && q > p && is_digit(q[-1]); q--)
		;
	if (!end || !take_decimal(&q, end, &n))
		return false;
	*out = (struct trace_line){ .kind = TRACE_LINE_LOST, .cpu = TRACE_ALL_CPUS, .value = n };
	return true;
}

/*
 * The same behind other words: the name of a buffer or file, or the blanks in its place (trace-cmd
 * report of several), a time (dmesg), the mark of a mail's quote, of diff or grep.
 */
static bool find_lost(const char *p, const char *e, struct trace_line *out)
{
	const char *line = p, *word;

	for (; (p = memmem(p, (size_t)(e - p), "CPU:", 4)); p++) {
		if (p == line || (!is_space(p[-1]) && !memchr(">+|:-", p[-1], 5)) ||
		    !parse_lost(p, e, out))
			continue;
		line = skip_spaces(line, p);
		for (word = line; word < p && !is_space(*word); word++)
			;
		if (word - line > 1 && word[-1] == ':' && skip_spaces(word, p) == p)
			set_label(line, word, out);
		return true;
	}
	return false;
}

/* The next word of a table's row; false: there is none. */
static bool take_word(const char **p, const char *e, const char **word, const char **end)
{
	*word = *end = skip_spaces(*p, e);
	while (*end < e && !is_space(**end))
		++*end;
	*p = *end;
	return *end > *word;
}

/* "1.43us" in ns; 0: it is something else. */
static uint64_t microseconds(const char *p, const char *e)
{
	uint64_t us, part = 0, scale = 1000;

	if (!take_decimal(&p, e, &us) || us > UINT32_MAX)
		return 0;
	if (TAKE(&p, e, ".")) {
		for (; p < e && is_digit(*p); p++) {
			scale /= 10;
			part += scale * (uint64_t)(*p - '0');
		}
	}
	return TAKE(&p, e, "us") ? us * 1000 + part : 0;
}

/*
 * A row of `perf kvm stat report`: "MSR_WRITE 56890 45.41% 2.20% 0.45us 998.20us 1.43us", from perf
 * 6.4 on "MSR_WRITE 56890 45.41% 81352700 2.20% ..." with the time of all of them in ns; or of
 * kvm_stat: "kvm_exit(MSR_WRITE) 90034 ...", "kvm_exit 142030 ..." for all reasons
 */
static bool parse_count(const char *p, const char *e, struct trace_line *out)
{
	const char *name, *name_end, *word, *end;
	uint64_t count, each, ns = 0;
	bool all, of_kvm_stat;

	if (!take_word(&p, e, &name, &name_end) || !take_word(&p, e, &word, &end) ||
	    !take_decimal(&word, end, &count) || word != end)
		return false;
	all = name_end - name == 8 && !memcmp(name, "kvm_exit", 8);
	of_kvm_stat = name_end[-1] == ')' && TAKE(&name, name_end, "kvm_exit(");
	if (of_kvm_stat) {
		name_end--;
	} else if (!all) {
		for (const char *c = name; c < name_end; c++) {
			if (*c != '_' && !((*c | 0x20) >= 'a' && (*c | 0x20) <= 'z'))
				return false;
		}
		if (!take_word(&p, e, &word, &end) || end[-1] != '%' || !is_digit(*word))
			return false;
		if (take_word(&p, e, &word, &end) && !take_decimal(&word, end, &ns))
			ns = 0;
		if (end[-1] == '%') {
			for (int i = 0; i < 3; i++)
				take_word(&p, e, &word, &end);
			each = microseconds(word, end);
			ns = count && each < UINT64_MAX / count ? each * count : 0;
		}
	}
	*out = (struct trace_line){ .kind = TRACE_LINE_COUNT,
				    .exit = all ? TRACE_EXIT_NONE : exit_by_name(name, name_end),
				    .value = count,
				    .ts = ns };
	return true;
}

/* What another program than the tracer has made of the line; NOT: nothing that is known. */
static enum trace_spoiled changed_how(const char *p, const char *e)
{
	size_t len = (size_t)(e - p);

	if (memmem(p, len, "\xc2\xa0", 2))
		return TRACE_SPOILED_BLANKS;
	if (memmem(p, len, "\033[", 2))
		return TRACE_SPOILED_COLOURS;
	if (memmem(p, len, "=3D", 3) || (len && e[-1] == '='))
		return TRACE_SPOILED_QUOTED;
	if (memmem(p, len, "{ cpu_id = ", 11))
		return TRACE_SPOILED_CTF;
	return memmem(p, len, " /* ", 4) ? TRACE_SPOILED_GRAPH : TRACE_SPOILED_NOT;
}

/* What a deadline write without a time stamp and a CPU lacks. @event: where its event begins. */
static enum trace_spoiled spoiled_how(const char *p, const char *event)
{
	const char *q, *tok;

	while (event > p && !is_space(event[-1]))
		event--;
	q = skip_spaces_back(p, event);
	if (q == p)
		return TRACE_SPOILED_CONTEXT;
	if (q[-1] == ']')
		return TRACE_SPOILED_TIME;
	tok = skip_token_back(p, q);
	if (q[-1] == ':' && q - tok > 2 && *tok == '-' && is_digit(tok[1]))
		return TRACE_SPOILED_BELOW_0;
	if (q[-1] == ':' && q - p > 1 && is_digit(q[-2]) && memchr(p, '.', (size_t)(q - p)))
		return TRACE_SPOILED_CPU;
	/* perf script names an event with its system. */
	if (q[-1] != ':' && (!memcmp(event, "msr:", 4) || !memcmp(event, "kvm:", 4)))
		return TRACE_SPOILED_CONTEXT;
	return TRACE_SPOILED_NOT;
}

/* "type: 2153" at the end: ftrace's options raw, hex and bin */
static bool is_raw(const char *p, const char *e)
{
	const char *q = e;

	while (q > p && is_digit(q[-1]))
		q--;
	return q < e && q - p >= 6 && !memcmp(q - 6, "type: ", 6);
}

/* A line without a time stamp and a CPU. */
static void parse_other(const char *p, const char *e, struct trace_line *out)
{
	static const char *const headers[] = { "#", "cpus=", "version = " };
	size_t len = (size_t)(e - p);
	const char *q = skip_spaces(p, e), *event;

	out->spoiled = TRACE_SPOILED_NOT;
	out->cpu = 0;
	out->label = NULL;
	out->label_len = 0;
	out->kind = TRACE_LINE_COMMENT;
	if (q == e)
		return;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		if (take(&q, e, headers[i], strlen(headers[i])))
			return;
	}
	/* One at the line's start was looked for before. */
	if (find_lost(p, e, out) || find_dropped(p, e, out) || parse_perf_trace(p, e, out))
		return;
	event = memmem(p, len, "write_msr:", 10);
	if (!event)
		event = memmem(p, len, "kvm_msr:", 8);
	if (!event)
		event = memmem(p, len, "msr_write ", 10);
	if (event) {
		out->kind = TRACE_LINE_DAMAGED;
		out->spoiled = changed_how(p, e);
		if (!out->spoiled)
			out->spoiled = spoiled_how(p, event);
		return;
	}
	if (parse_count(p, e, out))
		return;
	out->kind = TRACE_LINE_UNKNOWN;
	if (is_raw(p, e))
		out->spoiled = TRACE_SPOILED_RAW;
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
	h->latency = false;
	h->short_name = false;
	h->hex = false;
	h->milli = false;
	h->cpu = (unsigned int)cpu;
	return true;
}

static void learn_layout(struct trace_layout *l, const char *p, const char *colon,
			 const struct header *h)
{
	*l = (struct trace_layout){ .no_idle = l->no_idle, .no_msr = l->no_msr };
	if (h->latency || h->micro)
		return;
	l->cpu = (unsigned int)(h->before_cpu - p);
	l->cpu_end = (unsigned int)((const char *)memchr(h->before_cpu, ']',
							 (size_t)(colon - h->before_cpu)) -
				    p);
	l->ts = (unsigned int)(h->ts - p);
	l->ts_end = (unsigned int)(colon - p);
	l->point = h->point ? (unsigned int)(h->point - p) : 0;
}

/* Does an event's name follow, with its colon? */
static bool has_name(const char *p, const char *e)
{
	const char *q = p = skip_spaces(p, e);

	while (q < e && (is_digit(*q) || *q == '_' || ((*q | 0x20) >= 'a' && (*q | 0x20) <= 'z')))
		q++;
	return q > p && q < e && *q == ':';
}

/* A line that is damaged, or that has lost its thread, for a reason that can be told. */
static inline void note_changed(const char *p, const char *e, struct trace_line *out)
{
	bool lost = out->kind == TRACE_LINE_HOST_WRITE && out->tid < 0;

	if (!lost && (out->kind != TRACE_LINE_DAMAGED || out->spoiled))
		return;
	out->spoiled = changed_how(p, e);
	if (lost && out->spoiled)
		out->kind = TRACE_LINE_DAMAGED;
}

void trace_line_parse(struct trace_layout *layout, const char *p, const char *e,
		      struct trace_line *out)
{
	const char *colon = NULL;
	struct header h;

	if (same_layout(layout, p, e, &h)) {
		parse_event(layout, h.ts_end + 1, e, &h, out);
		note_changed(p, e, out);
		return;
	}
	if (p < e && *p == 'C' && parse_lost(p, e, out))
		return;
	/*
	 * The time stamp is the first thing that ends in a colon, has a CPU before it and an
	 * event's name behind it; else the first without such a name. A thread's name may look
	 * like one.
	 */
	for (const char *c = p; (c = memchr(c, ':', (size_t)(e - c))); c++) {
		bool blank_follows = c + 1 == e || is_space(c[1]);
		struct header here;

		if (!blank_follows || c == p || !parse_header(p, c, e, &here))
			continue;
		if (!colon) {
			colon = c;
			h = here;
		}
		if (has_name(c + 1, e)) {
			colon = c;
			h = here;
			break;
		}
	}
	if (!colon) {
		parse_other(p, e, out);
		return;
	}
	learn_layout(layout, p, colon, &h);
	parse_event(layout, colon + 1, e, &h, out);
	note_changed(p, e, out);
}
