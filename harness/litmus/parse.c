// SPDX-License-Identifier: BSD-2-Clause
/*
 * A test is: a line with the architecture and the test's name; lines of no meaning; { the initial
 * state }; a table of instructions, one column for each thread, rows ended by ';'; `locations`, to
 * print more of the final state; and a condition: exists, ~exists or forall. (* Comments *) may
 * stand anywhere.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lex.h"
#include "cli.h"
#include "parse.h"

enum { MAX_FILE = 1 << 20, MAX_NESTING = 200 };

struct parser {
	struct litmus_lexer lex;
	unsigned nesting;
	int proc[LAZYTSC_MAX_THREADS]; /* the number in the file of each thread */
	struct lazytsc_litmus *t;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The thread that a file knows by this number; -1 after an error. */
static int find_thread(struct parser *p, int64_t proc)
{
	for (unsigned i = 0; i < p->t->threads; i++)
		if (p->proc[i] == proc)
			return (int)i;
	lex_fail(&p->lex, "there is no thread P%lld", (long long)proc);
	return -1;
}

static unsigned find_location(struct parser *p, const char *name)
{
	struct lazytsc_litmus *t = p->t;

	for (unsigned i = 0; i < t->locations; i++)
		if (!strcmp(t->location[i], name))
			return i;
	if (t->locations == LAZYTSC_LITMUS_MAX_LOCATIONS) {
		lex_fail(&p->lex, "more than %d locations", LAZYTSC_LITMUS_MAX_LOCATIONS);
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

	lex_accept(&p->lex, '%');
	if (p->lex.token != LEX_IDENTIFIER || !lex_copy_name(&p->lex, name) ||
	    !find_register(name, n, width)) {
		lex_expected(&p->lex, "a register");
		return false;
	}
	lex_next(&p->lex);
	return true;
}

/* A location: x, [x] or *x. */
static unsigned parse_location(struct parser *p)
{
	char name[LAZYTSC_LITMUS_NAME];
	bool bracket = lex_accept(&p->lex, '[');
	unsigned location;

	if (!bracket)
		lex_accept(&p->lex, '*');
	if (p->lex.token != LEX_IDENTIFIER) {
		lex_expected(&p->lex, "a location");
		return 0;
	}
	if (!lex_copy_name(&p->lex, name))
		return 0;
	location = find_location(p, name);
	lex_next(&p->lex);
	if (bracket)
		lex_expect(&p->lex, ']');
	return location;
}

/* A number, with or without '$', or a location that stands for its address. */
static int64_t parse_value(struct parser *p)
{
	lex_accept(&p->lex, '$');
	if (p->lex.token == LEX_NUMBER)
		return lex_number(&p->lex);
	lex_accept(&p->lex, '&');
	if (p->lex.token != LEX_IDENTIFIER) {
		lex_expected(&p->lex, "a number or a location");
		return 0;
	}
	return lazytsc_litmus_address(parse_location(p));
}

/* The header: everything before the '{'. */
static void parse_header(struct parser *p)
{
	const char *name, *end;

	lex_next(&p->lex);
	if (!lex_is_word(&p->lex, "X86") && !lex_is_word(&p->lex, "X86_64")) {
		lex_expected(&p->lex, "the architecture X86");
		return;
	}
	for (name = p->lex.after; name < p->lex.end && (*name == ' ' || *name == '\t'); name++)
		;
	for (end = name; end < p->lex.end && *end != '\n' && *end != '\r'; end++)
		;
	while (end > name && isspace((unsigned char)end[-1]))
		end--;
	p->lex.at = name;
	p->lex.after = end;
	if (name == end)
		lex_fail(&p->lex, "expected the test's name, found the end of the line");
	else
		lex_copy_name(&p->lex, p->t->name);
	for (p->lex.at = p->lex.after; p->lex.at < p->lex.end && *p->lex.at != '{';) {
		if (*p->lex.at == '"')
			do
				lex_skip_char(&p->lex);
			while (p->lex.at < p->lex.end && *p->lex.at != '"');
		if (lex_starts(&p->lex, "(*"))
			lex_skip_comment(&p->lex);
		else if (p->lex.at < p->lex.end)
			lex_skip_char(&p->lex);
	}
	p->lex.after = p->lex.at;
	lex_next(&p->lex);
	lex_expect(&p->lex, '{');
}

/*
 * One entry of the initial state: x=1, [x]=1, int x=1, int x. Of `0:EAX=1` only the position is
 * kept, for when the threads are known.
 */
static void parse_init_location(struct parser *p)
{
	unsigned location = parse_location(p);

	/* A type before it: the last word is the location. */
	while (!p->lex.failed && (p->lex.token == LEX_IDENTIFIER || lex_is_symbol(&p->lex, '*'))) {
		if (location == p->t->locations - 1)
			p->t->locations--;
		location = parse_location(p);
	}
	if (lex_accept(&p->lex, '='))
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

	while (!p->lex.failed && !lex_accept(&p->lex, '}')) {
		if (lex_accept(&p->lex, ';'))
			continue;
		if (p->lex.token != LEX_NUMBER) {
			parse_init_location(p);
		} else if (n == max) {
			lex_fail(&p->lex, "more than %u registers in the initial state", max);
		} else {
			regs[n].line = p->lex.line;
			regs[n].proc = lex_number(&p->lex);
			lex_expect(&p->lex, ':');
			if (!parse_register(p, &regs[n].n, &regs[n].width))
				return n;
			lex_expect(&p->lex, '=');
			regs[n++].value = parse_value(p);
		}
		if (!p->lex.failed && !lex_is_symbol(&p->lex, ';') && !lex_is_symbol(&p->lex, '}'))
			lex_expected(&p->lex, "';' or '}'");
	}
	return n;
}

static void set_registers(struct parser *p, const struct register_init *regs, unsigned n)
{
	for (unsigned i = 0; i < n && !p->lex.failed; i++) {
		int thread;

		p->lex.line = regs[i].line;
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

		if (p->lex.token != LEX_IDENTIFIER || *p->lex.at != 'P' ||
		    !is_digit(p->lex.at[1])) {
			lex_expected(&p->lex, "a thread P0, P1, ...");
			return;
		}
		if (t->threads == LAZYTSC_MAX_THREADS) {
			lex_fail(&p->lex, "more than %d threads", LAZYTSC_MAX_THREADS);
			return;
		}
		p->proc[t->threads] = (int)strtol(p->lex.at + 1, &end, 10);
		if (end != p->lex.after) {
			lex_expected(&p->lex, "a thread P0, P1, ...");
			return;
		}
		for (unsigned i = 0; i < t->threads; i++)
			if (p->proc[i] == p->proc[t->threads])
				lex_fail(&p->lex, "thread P%d occurs twice", p->proc[i]);
		t->threads++;
		lex_next(&p->lex);
	} while (lex_accept(&p->lex, '|'));
	lex_expect(&p->lex, ';');
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

	if (p->lex.token == LEX_NUMBER || lex_is_symbol(&p->lex, '$') ||
	    lex_is_symbol(&p->lex, '&')) {
		o.value = parse_value(p);
		return o;
	}
	bracket = lex_accept(&p->lex, '[');
	lex_accept(&p->lex, '%');
	if (p->lex.token != LEX_IDENTIFIER) {
		lex_expected(&p->lex, "an operand");
		return o;
	}
	if (!lex_copy_name(&p->lex, name))
		return o;
	if (find_register(name, &o.n, &o.width)) {
		o.kind = bracket ? LAZYTSC_LITMUS_INDIRECT : LAZYTSC_LITMUS_REGISTER;
	} else {
		o.kind = LAZYTSC_LITMUS_LOCATION;
		o.n = find_location(p, name);
	}
	lex_next(&p->lex);
	if (bracket)
		lex_expect(&p->lex, ']');
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
		lex_fail(&p->lex, "%s writes to a number", m->name);
	else if (is_memory(&i->to) && is_memory(&i->from))
		lex_fail(&p->lex, "%s with two operands in memory", m->name);
	else if (swaps && i->from.kind != LAZYTSC_LITMUS_REGISTER)
		lex_fail(&p->lex, "%s needs a register", m->name);
	else if (i->locked && !is_memory(&i->to))
		lex_fail(&p->lex, "LOCK %s without an operand in memory", m->name);
	if (i->op == LAZYTSC_LITMUS_XCHG && is_memory(&i->to))
		i->locked = true;
}

static void parse_insn(struct parser *p, struct lazytsc_litmus_code *code)
{
	struct lazytsc_litmus_insn *i = &code->insn[code->n];
	char name[LAZYTSC_LITMUS_NAME];
	const struct mnemonic *m;

	if (code->n == LAZYTSC_LITMUS_MAX_INSNS) {
		lex_fail(&p->lex, "more than %d instructions in a thread",
			 LAZYTSC_LITMUS_MAX_INSNS);
		return;
	}
	*i = (struct lazytsc_litmus_insn){ .line = p->lex.line };
	i->locked = lex_accept_word(&p->lex, "LOCK") || lex_accept_word(&p->lex, "lock");
	m = p->lex.token == LEX_IDENTIFIER && lex_copy_name(&p->lex, name) ? find_mnemonic(name)
									   : NULL;
	if (!m || (i->locked && !m->lockable)) {
		lex_expected(&p->lex,
			     i->locked ? "an instruction that takes LOCK" : "an instruction");
		return;
	}
	lex_next(&p->lex);
	i->op = m->op;
	if (m->operands)
		i->to = parse_operand(p);
	if (m->operands == 1)
		i->from = (struct lazytsc_litmus_operand){ .kind = LAZYTSC_LITMUS_IMMEDIATE,
							   .value = 1 };
	if (m->operands == 2) {
		lex_expect(&p->lex, ',');
		i->from = parse_operand(p);
	}
	if (!p->lex.failed)
		check_insn(p, m, i);
	if (!p->lex.failed && !lex_is_symbol(&p->lex, '|') && !lex_is_symbol(&p->lex, ';'))
		lex_expected(&p->lex, "'|' or ';' after an instruction");
	code->n++;
}

static bool at_condition(const struct parser *p)
{
	return lex_is_word(&p->lex, "locations") || lex_is_word(&p->lex, "exists") ||
	       lex_is_word(&p->lex, "forall") || lex_is_word(&p->lex, "not") ||
	       lex_is_symbol(&p->lex, '~');
}

static void parse_code(struct parser *p)
{
	while (!p->lex.failed && !at_condition(p)) {
		unsigned column = 0;

		while (!p->lex.failed && !lex_accept(&p->lex, ';')) {
			if (lex_accept(&p->lex, '|'))
				column++;
			else if (column >= p->t->threads)
				lex_fail(&p->lex, "more columns than threads");
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

	if (p->lex.token == LEX_NUMBER) {
		char name[LAZYTSC_LITMUS_NAME];
		int64_t proc = lex_number(&p->lex);

		lex_expect(&p->lex, ':');
		lex_accept(&p->lex, '%');
		if (p->lex.failed || !lex_copy_name(&p->lex, name) ||
		    !parse_register(p, &o.n, &o.width))
			return 0;
		o.thread = find_thread(p, proc);
		snprintf(o.name, sizeof(o.name), "%d:%.100s", (int)proc, name);
	} else {
		o.n = parse_location(p);
		if (!p->lex.failed)
			snprintf(o.name, sizeof(o.name), "[%.120s]", t->location[o.n]);
	}
	if (p->lex.failed)
		return 0;
	for (i = 0; i < t->observed_n; i++)
		if (!strcmp(t->observed[i].name, o.name))
			break;
	if (i == LAZYTSC_LITMUS_MAX_OBSERVED) {
		lex_fail(&p->lex, "more than %d registers and locations in the final state",
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
	if (!lex_accept_word(&p->lex, "locations"))
		return;
	lex_expect(&p->lex, '[');
	while (!p->lex.failed && !lex_accept(&p->lex, ']')) {
		if (!lex_accept(&p->lex, ';'))
			parse_observed(p, false);
	}
}

static unsigned add_node(struct parser *p, struct lazytsc_litmus_node node)
{
	struct lazytsc_litmus *t = p->t;

	if (t->nodes == LAZYTSC_LITMUS_MAX_NODES) {
		lex_fail(&p->lex, "a condition of more than %d parts", LAZYTSC_LITMUS_MAX_NODES);
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
		lex_fail(&p->lex, "a condition nested deeper than %d", MAX_NESTING);
		return 0;
	}
	if (lex_accept(&p->lex, '(')) {
		n.a = parse_implication(p);
		lex_expect(&p->lex, ')');
		p->nesting--;
		return n.a;
	}
	if (lex_accept(&p->lex, '~') || lex_accept_word(&p->lex, "not")) {
		n.op = LAZYTSC_LITMUS_NOT;
		n.a = parse_atom(p);
	} else if (lex_accept_word(&p->lex, "true")) {
		n.op = LAZYTSC_LITMUS_TRUE;
	} else if (lex_accept_word(&p->lex, "false")) {
		n.op = LAZYTSC_LITMUS_FALSE;
	} else {
		n.a = parse_observed(p, true);
		if (p->lex.token == LEX_DIFFERS) {
			n.op = LAZYTSC_LITMUS_DIFFERS;
			lex_next(&p->lex);
		} else {
			lex_expect(&p->lex, '=');
			lex_accept(&p->lex, '='); /* == */
		}
		n.value = parse_value(p);
	}
	p->nesting--;
	return add_node(p, n);
}

static unsigned parse_conjunction(struct parser *p)
{
	unsigned a = parse_atom(p);

	while (p->lex.token == LEX_CONJUNCTION) {
		unsigned b;

		lex_next(&p->lex);
		b = parse_atom(p);
		a = add_node(p, (struct lazytsc_litmus_node){
					.op = LAZYTSC_LITMUS_CONJUNCTION, .a = a, .b = b });
	}
	return a;
}

static unsigned parse_disjunction(struct parser *p)
{
	unsigned a = parse_conjunction(p);

	while (p->lex.token == LEX_DISJUNCTION) {
		unsigned b;

		lex_next(&p->lex);
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

	if (p->lex.token != LEX_IMPLIES)
		return a;
	if (++p->nesting > MAX_NESTING) {
		lex_fail(&p->lex, "a condition nested deeper than %d", MAX_NESTING);
		return 0;
	}
	lex_next(&p->lex);
	b = parse_implication(p);
	p->nesting--;
	return add_node(
		p, (struct lazytsc_litmus_node){ .op = LAZYTSC_LITMUS_IMPLIES, .a = a, .b = b });
}

/* The text from `from` to before the current token, each stretch of blanks as one blank. */
static void keep_condition(struct parser *p, const char *from)
{
	char *to = malloc((size_t)(p->lex.at - from) + 1);

	p->t->condition = to;
	if (!to) {
		lex_fail(&p->lex, "no memory for the condition");
		return;
	}
	for (; from < p->lex.at; from++) {
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
	bool negated = lex_accept(&p->lex, '~') || lex_accept_word(&p->lex, "not");
	const char *text;
	unsigned root;

	if (lex_accept_word(&p->lex, "exists"))
		p->t->quantifier = negated ? LAZYTSC_LITMUS_NOT_EXISTS : LAZYTSC_LITMUS_EXISTS;
	else if (!negated && lex_accept_word(&p->lex, "forall"))
		p->t->quantifier = LAZYTSC_LITMUS_FORALL;
	else
		lex_expected(&p->lex, negated ? "exists" : "exists, ~exists or forall");
	text = p->lex.at;
	root = parse_implication(p);
	if (p->lex.failed)
		return;
	keep_condition(p, text);
	if (p->lex.token != LEX_END)
		lex_expected(&p->lex, "the end of the file");
	/* The last node is the whole; parentheses leave no node. */
	if (!p->lex.failed && root != p->t->nodes - 1)
		lex_fail(&p->lex, "the condition has no root");
}

static void parse(struct parser *p)
{
	enum { MAX_REGISTERS = LAZYTSC_MAX_THREADS * LAZYTSC_LITMUS_REGISTERS };
	struct register_init regs[MAX_REGISTERS];
	unsigned n;

	parse_header(p);
	n = parse_init(p, regs, MAX_REGISTERS);
	if (!p->lex.failed)
		parse_threads(p);
	set_registers(p, regs, n);
	if (!p->lex.failed)
		parse_code(p);
	parse_locations(p);
	if (!p->lex.failed)
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
		cli_say(err, "%s: %s", path, strerror(errno));
		free(text);
		text = NULL;
	} else if (*size > MAX_FILE) {
		cli_say(err, "%s: more than %d bytes", path, MAX_FILE);
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
	struct parser p = { .lex = { .path = path,
				     .err = err,
				     .line = 1,
				     .at = text,
				     .after = text,
				     .end = text + size } };

	p.t = calloc(1, sizeof(*p.t));
	if (!p.t) {
		cli_say(err, "%s: no memory", path);
		return NULL;
	}
	parse(&p);
	if (p.lex.failed) {
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
