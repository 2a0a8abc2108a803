// SPDX-License-Identifier: BSD-2-Clause
/*
 * A test is: a line with the architecture and the test's name; lines of no meaning; { the initial
 * state }; a table of instructions, one column for each thread, rows ended by ';'; `locations`, to
 * print more of the final state; and a condition: exists, ~exists or forall. (* Comments *) may
 * stand anywhere.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "litmus_parse.h"

enum { MAX_FILE = 1 << 20, MAX_NESTING = 200 };

enum token {
	END,
	IDENTIFIER,
	NUMBER,
	CONJUNCTION,
	DISJUNCTION,
	IMPLIES,
	DIFFERS,
	SYMBOL /* one character */
};

struct parser {
	const char *path;
	FILE *err;
	const char *end;
	const char *at; /* where the current token starts */
	const char *after; /* where it ends */
	enum token token;
	int line;
	unsigned nesting;
	bool failed; /* said so; from then on there is nothing but END */
	int proc[LAZYTSC_MAX_THREADS]; /* the number in the file of each thread */
	struct lazytsc_litmus *t;
};

static void fail_at(struct parser *p, int line, const char *format, va_list args)
{
	if (!p->failed) {
		fprintf(p->err, "%s:%d: ", p->path, line);
		vfprintf(p->err, format, args);
		fputc('\n', p->err);
	}
	p->failed = true;
	p->at = p->after = p->end;
	p->token = END;
}

__attribute__((format(printf, 2, 3))) static void fail(struct parser *p, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fail_at(p, p->line, format, args);
	va_end(args);
}

/* What stands where something else was expected. */
static void expected(struct parser *p, const char *what)
{
	if (p->token == END)
		fail(p, "expected %s, found the end of the file", what);
	else if (isprint((unsigned char)*p->at))
		fail(p, "expected %s, found '%.*s'", what,
		     (int)(p->after - p->at > 40 ? 40 : p->after - p->at), p->at);
	else
		fail(p, "expected %s, found the byte 0x%02x", what, (unsigned char)*p->at);
}

static bool starts(const struct parser *p, const char *s)
{
	return (size_t)(p->end - p->at) >= strlen(s) && !strncmp(p->at, s, strlen(s));
}

/* Steps over one character, and counts lines. */
static void skip_char(struct parser *p)
{
	p->line += *p->at == '\n';
	p->at++;
}

static void skip_comment(struct parser *p)
{
	const int line = p->line;
	unsigned depth = 0;

	do {
		if (p->at == p->end) {
			p->line = line;
			fail(p, "expected the end of the comment that starts here, found the end "
				"of the file");
			return;
		}
		if (starts(p, "(*")) {
			depth++;
			p->at++;
		} else if (starts(p, "*)")) {
			depth--;
			p->at++;
		}
		skip_char(p);
	} while (depth);
}

static void skip_blanks(struct parser *p)
{
	while (p->at < p->end) {
		if (isspace((unsigned char)*p->at))
			skip_char(p);
		else if (starts(p, "(*"))
			skip_comment(p);
		else
			return;
	}
}

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '\'';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Goes on to the next token. */
static void next(struct parser *p)
{
	static const struct {
		const char *text;
		enum token token;
	} longer[] = { { "/\\", CONJUNCTION }, { "&&", CONJUNCTION }, { "\\/", DISJUNCTION },
		       { "||", DISJUNCTION },  { "=>", IMPLIES },     { "!=", DIFFERS },
		       { "<>", DIFFERS } };
	const char *c;

	p->at = p->after;
	skip_blanks(p);
	p->after = c = p->at;
	if (c == p->end) {
		p->token = END;
		return;
	}
	for (size_t i = 0; i < sizeof(longer) / sizeof(longer[0]); i++) {
		if (starts(p, longer[i].text)) {
			p->token = longer[i].token;
			p->after = c + 2;
			return;
		}
	}
	if (is_digit(*c) || (*c == '-' && c + 1 < p->end && is_digit(c[1])))
		p->token = NUMBER;
	else
		p->token = is_name(*c) ? IDENTIFIER : SYMBOL;
	p->after = c + 1;
	while (p->token != SYMBOL && p->after < p->end && is_name(*p->after))
		p->after++;
}

static bool is_symbol(const struct parser *p, char c)
{
	return p->token == SYMBOL && *p->at == c;
}

static bool accept(struct parser *p, char c)
{
	if (!is_symbol(p, c))
		return false;
	next(p);
	return true;
}

static void expect(struct parser *p, char c)
{
	const char what[] = { '\'', c, '\'', 0 };

	if (!accept(p, c))
		expected(p, what);
}

static bool is_word(const struct parser *p, const char *word)
{
	return p->token == IDENTIFIER && (size_t)(p->after - p->at) == strlen(word) &&
	       !strncmp(p->at, word, strlen(word));
}

static bool accept_word(struct parser *p, const char *word)
{
	if (!is_word(p, word))
		return false;
	next(p);
	return true;
}

/* Copies the current token; says so where it is too long. */
static bool copy_name(struct parser *p, char name[LAZYTSC_LITMUS_NAME])
{
	size_t n = (size_t)(p->after - p->at);

	if (n > LAZYTSC_LITMUS_NAME - 16) {
		fail(p, "a name of %zu characters, more than %d", n, LAZYTSC_LITMUS_NAME - 16);
		return false;
	}
	memcpy(name, p->at, n);
	name[n] = 0;
	return true;
}

static int64_t parse_number(struct parser *p)
{
	char digits[LAZYTSC_LITMUS_NAME], *end;
	unsigned long long magnitude;
	bool negative;

	if (p->token != NUMBER) {
		expected(p, "a number");
		return 0;
	}
	if (!copy_name(p, digits))
		return 0;
	negative = digits[0] == '-';
	errno = 0;
	magnitude = strtoull(digits + negative, &end, 0);
	if (*end || errno) {
		expected(p, "a number of 64 bits");
		return 0;
	}
	next(p);
	return (int64_t)(negative ? 0 - magnitude : magnitude);
}

/* The thread that a file knows by this number; -1 after an error. */
static int find_thread(struct parser *p, int64_t proc)
{
	for (unsigned i = 0; i < p->t->threads; i++)
		if (p->proc[i] == proc)
			return (int)i;
	fail(p, "there is no thread P%lld", (long long)proc);
	return -1;
}

static unsigned find_location(struct parser *p, const char *name)
{
	struct lazytsc_litmus *t = p->t;

	for (unsigned i = 0; i < t->locations; i++)
		if (!strcmp(t->location[i], name))
			return i;
	if (t->locations == LAZYTSC_LITMUS_MAX_LOCATIONS) {
		fail(p, "more than %d locations", LAZYTSC_LITMUS_MAX_LOCATIONS);
		return 0;
	}
	strcpy(t->location[t->locations], name);
	return t->locations++;
}

/* Is this a register's name? RAX, EAX, AX, AL; RSI, ESI, SI, SIL; R8, R8D, R8W, R8B; ... */
static bool find_register(const char *name, unsigned *n, unsigned *width)
{
	static const char *const classic[] = { "AX", "CX", "DX", "BX", "SP", "BP", "SI", "DI" };
	char low[4];
	char *end;
	long number;

	for (unsigned i = 0; i < 8; i++) {
		*n = i;
		*width = 16;
		if (!strcmp(name, classic[i]))
			return true;
		*width = name[0] == 'R' ? 64 : 32;
		if ((name[0] == 'R' || name[0] == 'E') && !strcmp(name + 1, classic[i]))
			return true;
		*width = 8;
		snprintf(low, sizeof(low), i < 4 ? "%.1sL" : "%.2sL", classic[i]);
		if (!strcmp(name, low))
			return true;
	}
	if (name[0] != 'R' || !is_digit(name[1]))
		return false;
	number = strtol(name + 1, &end, 10);
	if (number < 8 || number > 15)
		return false;
	*n = (unsigned)number;
	*width = !strcmp(end, "B") ? 8 : !strcmp(end, "W") ? 16 : !strcmp(end, "D") ? 32 : 64;
	return *width != 64 || !*end;
}

static bool parse_register(struct parser *p, unsigned *n, unsigned *width)
{
	char name[LAZYTSC_LITMUS_NAME];

	accept(p, '%');
	if (p->token != IDENTIFIER || !copy_name(p, name) || !find_register(name, n, width)) {
		expected(p, "a register");
		return false;
	}
	next(p);
	return true;
}

/* A location: x, [x] or *x. */
static unsigned parse_location(struct parser *p)
{
	char name[LAZYTSC_LITMUS_NAME];
	bool bracket = accept(p, '[');
	unsigned location;

	if (!bracket)
		accept(p, '*');
	if (p->token != IDENTIFIER) {
		expected(p, "a location");
		return 0;
	}
	if (!copy_name(p, name))
		return 0;
	location = find_location(p, name);
	next(p);
	if (bracket)
		expect(p, ']');
	return location;
}

/* A number, with or without '$', or a location that stands for its address. */
static int64_t parse_value(struct parser *p)
{
	accept(p, '$');
	if (p->token == NUMBER)
		return parse_number(p);
	accept(p, '&');
	if (p->token != IDENTIFIER) {
		expected(p, "a number or a location");
		return 0;
	}
	return lazytsc_litmus_address(parse_location(p));
}

/* The header: everything before the '{'. */
static void parse_header(struct parser *p)
{
	const char *name, *end;

	next(p);
	if (!is_word(p, "X86") && !is_word(p, "X86_64")) {
		expected(p, "the architecture X86");
		return;
	}
	for (name = p->after; name < p->end && (*name == ' ' || *name == '\t'); name++)
		;
	for (end = name; end < p->end && *end != '\n' && *end != '\r'; end++)
		;
	while (end > name && isspace((unsigned char)end[-1]))
		end--;
	p->at = name;
	p->after = end;
	if (name == end)
		fail(p, "expected the test's name, found the end of the line");
	else
		copy_name(p, p->t->name);
	for (p->at = p->after; p->at < p->end && *p->at != '{';) {
		if (*p->at == '"')
			do
				skip_char(p);
			while (p->at < p->end && *p->at != '"');
		if (starts(p, "(*"))
			skip_comment(p);
		else if (p->at < p->end)
			skip_char(p);
	}
	p->after = p->at;
	next(p);
	expect(p, '{');
}

/*
 * One entry of the initial state: x=1, [x]=1, int x=1, int x. Of `0:EAX=1` only the position is
 * kept, for when the threads are known.
 */
static void parse_init_location(struct parser *p)
{
	unsigned location = parse_location(p);

	/* A type before it: the last word is the location. */
	while (!p->failed && (p->token == IDENTIFIER || is_symbol(p, '*'))) {
		if (location == p->t->locations - 1)
			p->t->locations--;
		location = parse_location(p);
	}
	if (accept(p, '='))
		p->t->init[location] = parse_value(p);
}

struct register_init {
	int64_t proc, value;
	unsigned n, width;
	int line;
};

static unsigned parse_init(struct parser *p, struct register_init *regs, unsigned max)
{
	unsigned n = 0;

	while (!p->failed && !accept(p, '}')) {
		if (accept(p, ';'))
			continue;
		if (p->token != NUMBER) {
			parse_init_location(p);
		} else if (n == max) {
			fail(p, "more than %u registers in the initial state", max);
		} else {
			regs[n].line = p->line;
			regs[n].proc = parse_number(p);
			expect(p, ':');
			if (!parse_register(p, &regs[n].n, &regs[n].width))
				return n;
			expect(p, '=');
			regs[n++].value = parse_value(p);
		}
		if (!p->failed && !is_symbol(p, ';') && !is_symbol(p, '}'))
			expected(p, "';' or '}'");
	}
	return n;
}

static void set_registers(struct parser *p, const struct register_init *regs, unsigned n)
{
	for (unsigned i = 0; i < n && !p->failed; i++) {
		int thread;

		p->line = regs[i].line;
		thread = find_thread(p, regs[i].proc);
		if (thread >= 0)
			p->t->code[thread].init[regs[i].n] = regs[i].value;
	}
}

static void parse_threads(struct parser *p)
{
	struct lazytsc_litmus *t = p->t;

	do {
		char *end;

		if (p->token != IDENTIFIER || *p->at != 'P' || !is_digit(p->at[1])) {
			expected(p, "a thread P0, P1, ...");
			return;
		}
		if (t->threads == LAZYTSC_MAX_THREADS) {
			fail(p, "more than %d threads", LAZYTSC_MAX_THREADS);
			return;
		}
		p->proc[t->threads] = (int)strtol(p->at + 1, &end, 10);
		if (end != p->after) {
			expected(p, "a thread P0, P1, ...");
			return;
		}
		for (unsigned i = 0; i < t->threads; i++)
			if (p->proc[i] == p->proc[t->threads])
				fail(p, "thread P%d occurs twice", p->proc[i]);
		t->threads++;
		next(p);
	} while (accept(p, '|'));
	expect(p, ';');
}

static bool is_memory(const struct lazytsc_litmus_operand *o)
{
	return o->kind == LAZYTSC_LITMUS_LOCATION || o->kind == LAZYTSC_LITMUS_INDIRECT;
}

static struct lazytsc_litmus_operand parse_operand(struct parser *p)
{
	struct lazytsc_litmus_operand o = { .kind = LAZYTSC_LITMUS_IMMEDIATE };
	char name[LAZYTSC_LITMUS_NAME];
	bool bracket;

	if (p->token == NUMBER || is_symbol(p, '$') || is_symbol(p, '&')) {
		o.value = parse_value(p);
		return o;
	}
	bracket = accept(p, '[');
	accept(p, '%');
	if (p->token != IDENTIFIER) {
		expected(p, "an operand");
		return o;
	}
	if (!copy_name(p, name))
		return o;
	if (find_register(name, &o.n, &o.width)) {
		o.kind = bracket ? LAZYTSC_LITMUS_INDIRECT : LAZYTSC_LITMUS_REGISTER;
	} else {
		o.kind = LAZYTSC_LITMUS_LOCATION;
		o.n = find_location(p, name);
	}
	next(p);
	if (bracket)
		expect(p, ']');
	return o;
}

static const struct mnemonic {
	const char *name;
	enum lazytsc_litmus_op op;
	unsigned operands;
	bool lockable;
} mnemonics[] = {
	{ "MOV", LAZYTSC_LITMUS_MOV, 2, false },    { "MFENCE", LAZYTSC_LITMUS_MFENCE, 0, false },
	{ "SFENCE", LAZYTSC_LITMUS_NOP, 0, false }, { "LFENCE", LAZYTSC_LITMUS_NOP, 0, false },
	{ "NOP", LAZYTSC_LITMUS_NOP, 0, false },    { "XCHG", LAZYTSC_LITMUS_XCHG, 2, true },
	{ "XADD", LAZYTSC_LITMUS_XADD, 2, true },   { "CMPXCHG", LAZYTSC_LITMUS_CMPXCHG, 2, true },
	{ "INC", LAZYTSC_LITMUS_ADD, 1, true },	    { "DEC", LAZYTSC_LITMUS_SUB, 1, true },
	{ "ADD", LAZYTSC_LITMUS_ADD, 2, true },	    { "SUB", LAZYTSC_LITMUS_SUB, 2, true },
	{ "XOR", LAZYTSC_LITMUS_XOR, 2, false },    { "AND", LAZYTSC_LITMUS_AND, 2, false },
	{ "OR", LAZYTSC_LITMUS_OR, 2, false },
};

/* With or without a letter for the width of what it moves. */
static const struct mnemonic *find_mnemonic(const char *name)
{
	for (size_t i = 0; i < sizeof(mnemonics) / sizeof(mnemonics[0]); i++) {
		const struct mnemonic *m = &mnemonics[i];
		size_t n = strlen(m->name);

		if (strncasecmp(name, m->name, n))
			continue;
		if (!name[n] || (m->operands && strchr("BWLQbwlq", name[n]) && !name[n + 1]))
			return m;
	}
	return NULL;
}

/* Checks what only the instruction as a whole can tell. */
static void check_insn(struct parser *p, const struct mnemonic *m, struct lazytsc_litmus_insn *i)
{
	const bool swaps = i->op == LAZYTSC_LITMUS_XCHG || i->op == LAZYTSC_LITMUS_XADD ||
			   i->op == LAZYTSC_LITMUS_CMPXCHG;

	if (!m->operands)
		return;
	if (i->op == LAZYTSC_LITMUS_XCHG && is_memory(&i->from)) {
		struct lazytsc_litmus_operand to = i->to;

		i->to = i->from;
		i->from = to;
	}
	if (i->to.kind == LAZYTSC_LITMUS_IMMEDIATE)
		fail(p, "%s writes to a number", m->name);
	else if (is_memory(&i->to) && is_memory(&i->from))
		fail(p, "%s with two operands in memory", m->name);
	else if (swaps && i->from.kind != LAZYTSC_LITMUS_REGISTER)
		fail(p, "%s needs a register", m->name);
	else if (i->locked && !is_memory(&i->to))
		fail(p, "LOCK %s without an operand in memory", m->name);
	if (i->op == LAZYTSC_LITMUS_XCHG && is_memory(&i->to))
		i->locked = true;
}

static void parse_insn(struct parser *p, struct lazytsc_litmus_code *code)
{
	struct lazytsc_litmus_insn *i = &code->insn[code->n];
	char name[LAZYTSC_LITMUS_NAME];
	const struct mnemonic *m;

	if (code->n == LAZYTSC_LITMUS_MAX_INSNS) {
		fail(p, "more than %d instructions in a thread", LAZYTSC_LITMUS_MAX_INSNS);
		return;
	}
	*i = (struct lazytsc_litmus_insn){ .line = p->line };
	i->locked = accept_word(p, "LOCK") || accept_word(p, "lock");
	m = p->token == IDENTIFIER && copy_name(p, name) ? find_mnemonic(name) : NULL;
	if (!m || (i->locked && !m->lockable)) {
		expected(p, i->locked ? "an instruction that takes LOCK" : "an instruction");
		return;
	}
	next(p);
	i->op = m->op;
	if (m->operands)
		i->to = parse_operand(p);
	if (m->operands == 1)
		i->from = (struct lazytsc_litmus_operand){ .kind = LAZYTSC_LITMUS_IMMEDIATE,
							   .value = 1 };
	if (m->operands == 2) {
		expect(p, ',');
		i->from = parse_operand(p);
	}
	if (!p->failed)
		check_insn(p, m, i);
	if (!p->failed && !is_symbol(p, '|') && !is_symbol(p, ';'))
		expected(p, "'|' or ';' after an instruction");
	code->n++;
}

static bool at_condition(const struct parser *p)
{
	return is_word(p, "locations") || is_word(p, "exists") || is_word(p, "forall") ||
	       is_word(p, "not") || is_symbol(p, '~');
}

static void parse_code(struct parser *p)
{
	while (!p->failed && !at_condition(p)) {
		unsigned column = 0;

		while (!p->failed && !accept(p, ';')) {
			if (accept(p, '|'))
				column++;
			else if (column >= p->t->threads)
				fail(p, "more columns than threads");
			else
				parse_insn(p, &p->t->code[column]);
		}
	}
}

/* What a condition or `locations` names: its place in observed[]. */
static unsigned parse_observed(struct parser *p, bool in_condition)
{
	struct lazytsc_litmus *t = p->t;
	struct lazytsc_litmus_observed o = { .thread = -1, .in_condition = in_condition };
	unsigned i;

	if (p->token == NUMBER) {
		char name[LAZYTSC_LITMUS_NAME];
		int64_t proc = parse_number(p);

		expect(p, ':');
		accept(p, '%');
		if (p->failed || !copy_name(p, name) || !parse_register(p, &o.n, &o.width))
			return 0;
		o.thread = find_thread(p, proc);
		snprintf(o.name, sizeof(o.name), "%d:%.100s", (int)proc, name);
	} else {
		o.n = parse_location(p);
		if (!p->failed)
			snprintf(o.name, sizeof(o.name), "[%.120s]", t->location[o.n]);
	}
	if (p->failed)
		return 0;
	for (i = 0; i < t->observed_n; i++)
		if (!strcmp(t->observed[i].name, o.name))
			break;
	if (i == LAZYTSC_LITMUS_MAX_OBSERVED) {
		fail(p, "more than %d registers and locations in the final state",
		     LAZYTSC_LITMUS_MAX_OBSERVED);
		return 0;
	}
	if (i == t->observed_n)
		t->observed[t->observed_n++] = o;
	t->observed[i].in_condition |= in_condition;
	return i;
}

static void parse_locations(struct parser *p)
{
	if (!accept_word(p, "locations"))
		return;
	expect(p, '[');
	while (!p->failed && !accept(p, ']')) {
		if (!accept(p, ';'))
			parse_observed(p, false);
	}
}

static unsigned add_node(struct parser *p, struct lazytsc_litmus_node node)
{
	struct lazytsc_litmus *t = p->t;

	if (t->nodes == LAZYTSC_LITMUS_MAX_NODES) {
		fail(p, "a condition of more than %d parts", LAZYTSC_LITMUS_MAX_NODES);
		return 0;
	}
	t->node[t->nodes] = node;
	return t->nodes++;
}

static unsigned parse_implication(struct parser *p);

static unsigned parse_atom(struct parser *p)
{
	struct lazytsc_litmus_node n = { .op = LAZYTSC_LITMUS_EQUAL };

	if (++p->nesting > MAX_NESTING) {
		fail(p, "a condition nested deeper than %d", MAX_NESTING);
		return 0;
	}
	if (accept(p, '(')) {
		n.a = parse_implication(p);
		expect(p, ')');
		p->nesting--;
		return n.a;
	}
	if (accept(p, '~') || accept_word(p, "not")) {
		n.op = LAZYTSC_LITMUS_NOT;
		n.a = parse_atom(p);
	} else if (accept_word(p, "true")) {
		n.op = LAZYTSC_LITMUS_TRUE;
	} else if (accept_word(p, "false")) {
		n.op = LAZYTSC_LITMUS_FALSE;
	} else {
		n.a = parse_observed(p, true);
		if (p->token == DIFFERS) {
			n.op = LAZYTSC_LITMUS_DIFFERS;
			next(p);
		} else {
			expect(p, '=');
			accept(p, '='); /* == */
		}
		n.value = parse_value(p);
	}
	p->nesting--;
	return add_node(p, n);
}

static unsigned parse_conjunction(struct parser *p)
{
	unsigned a = parse_atom(p);

	while (p->token == CONJUNCTION) {
		unsigned b;

		next(p);
		b = parse_atom(p);
		a = add_node(p, (struct lazytsc_litmus_node){
					.op = LAZYTSC_LITMUS_CONJUNCTION, .a = a, .b = b });
	}
	return a;
}

static unsigned parse_disjunction(struct parser *p)
{
	unsigned a = parse_conjunction(p);

	while (p->token == DISJUNCTION) {
		unsigned b;

		next(p);
		b = parse_conjunction(p);
		a = add_node(p, (struct lazytsc_litmus_node){
					.op = LAZYTSC_LITMUS_DISJUNCTION, .a = a, .b = b });
	}
	return a;
}

/* => is right-associative, and weaker than \/. */
static unsigned parse_implication(struct parser *p)
{
	unsigned a = parse_disjunction(p), b;

	if (p->token != IMPLIES)
		return a;
	if (++p->nesting > MAX_NESTING) {
		fail(p, "a condition nested deeper than %d", MAX_NESTING);
		return 0;
	}
	next(p);
	b = parse_implication(p);
	p->nesting--;
	return add_node(
		p, (struct lazytsc_litmus_node){ .op = LAZYTSC_LITMUS_IMPLIES, .a = a, .b = b });
}

/* The text from `from` to before the current token, each stretch of blanks as one blank. */
static void keep_condition(struct parser *p, const char *from)
{
	char *to = malloc((size_t)(p->at - from) + 1);

	p->t->condition = to;
	if (!to) {
		fail(p, "no memory for the condition");
		return;
	}
	for (; from < p->at; from++) {
		if (!isspace((unsigned char)*from))
			*to++ = *from;
		else if (to != p->t->condition && to[-1] != ' ')
			*to++ = ' ';
	}
	while (to != p->t->condition && to[-1] == ' ')
		to--;
	*to = 0;
}

static void parse_condition(struct parser *p)
{
	bool negated = accept(p, '~') || accept_word(p, "not");
	const char *text;
	unsigned root;

	if (accept_word(p, "exists"))
		p->t->quantifier = negated ? LAZYTSC_LITMUS_NOT_EXISTS : LAZYTSC_LITMUS_EXISTS;
	else if (!negated && accept_word(p, "forall"))
		p->t->quantifier = LAZYTSC_LITMUS_FORALL;
	else
		expected(p, negated ? "exists" : "exists, ~exists or forall");
	text = p->at;
	root = parse_implication(p);
	if (p->failed)
		return;
	keep_condition(p, text);
	if (p->token != END)
		expected(p, "the end of the file");
	/* The last node is the whole; parentheses leave no node. */
	if (!p->failed && root != p->t->nodes - 1)
		fail(p, "the condition has no root");
}

static void parse(struct parser *p)
{
	enum { MAX_REGISTERS = LAZYTSC_MAX_THREADS * LAZYTSC_LITMUS_REGISTERS };
	struct register_init regs[MAX_REGISTERS];
	unsigned n;

	parse_header(p);
	n = parse_init(p, regs, MAX_REGISTERS);
	if (!p->failed)
		parse_threads(p);
	set_registers(p, regs, n);
	if (!p->failed)
		parse_code(p);
	parse_locations(p);
	if (!p->failed)
		parse_condition(p);
}

/* The file's bytes, to be freed; NULL after an error. */
static char *read_file(const char *path, FILE *err, size_t *size)
{
	FILE *f = fopen(path, "r");
	char *text = f ? malloc(MAX_FILE + 1) : NULL;

	if (text)
		*size = fread(text, 1, MAX_FILE + 1, f);
	if (!f || !text || ferror(f)) {
		fprintf(err, "%s: %s\n", path, strerror(errno));
		free(text);
		text = NULL;
	} else if (*size > MAX_FILE) {
		fprintf(err, "%s: more than %d bytes\n", path, MAX_FILE);
		free(text);
		text = NULL;
	}
	if (f)
		fclose(f);
	return text;
}

/* States are printed threads first, then locations, each by number or name, as herd does. */
static int compare_observed(const struct lazytsc_litmus_observed *a,
			    const struct lazytsc_litmus_observed *b)
{
	if ((a->thread < 0) != (b->thread < 0))
		return a->thread < 0 ? 1 : -1;
	if (a->thread != b->thread)
		return a->thread < b->thread ? -1 : 1;
	return strcmp(a->name, b->name);
}

static void sort_observed(struct lazytsc_litmus *t)
{
	unsigned rank[LAZYTSC_LITMUS_MAX_OBSERVED];
	struct lazytsc_litmus_observed *sorted = calloc(t->observed_n + 1, sizeof(*sorted));

	if (!sorted)
		return; /* in the order of the file, then */
	for (unsigned i = 0; i < t->observed_n; i++) {
		rank[i] = 0;
		for (unsigned j = 0; j < t->observed_n; j++)
			rank[i] += compare_observed(&t->observed[j], &t->observed[i]) < 0;
		sorted[rank[i]] = t->observed[i];
	}
	memcpy(t->observed, sorted, t->observed_n * sizeof(*sorted));
	for (unsigned i = 0; i < t->nodes; i++)
		if (t->node[i].op == LAZYTSC_LITMUS_EQUAL ||
		    t->node[i].op == LAZYTSC_LITMUS_DIFFERS)
			t->node[i].a = rank[t->node[i].a];
	free(sorted);
}

struct lazytsc_litmus *litmus_parse(const char *path, const char *text, size_t size, FILE *err)
{
	struct parser p = {
		.path = path, .err = err, .line = 1, .at = text, .after = text, .end = text + size
	};

	p.t = calloc(1, sizeof(*p.t));
	if (!p.t) {
		fprintf(err, "%s: no memory\n", path);
		return NULL;
	}
	parse(&p);
	if (p.failed) {
		litmus_free(p.t);
		return NULL;
	}
	sort_observed(p.t);
	return p.t;
}

struct lazytsc_litmus *litmus_read(const char *path, FILE *err)
{
	size_t size = 0;
	char *text = read_file(path, err, &size);
	struct lazytsc_litmus *t;

	if (!text)
		return NULL;
	text[size] = 0;
	t = litmus_parse(path, text, size, err);
	free(text);
	return t;
}

void litmus_free(struct lazytsc_litmus *t)
{
	if (t)
		free(t->condition);
	free(t);
}
