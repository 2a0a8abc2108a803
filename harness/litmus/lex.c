// SPDX-License-Identifier: BSD-2-Clause
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lex.h"

void lex_fail(struct litmus_lexer *l, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (!l->failed) {
		fprintf(l->err, "%s: %s:%d: ", program_invocation_short_name, l->path, l->line);
		vfprintf(l->err, format, args);
		fputc('\n', l->err);
	}
	va_end(args);
	l->failed = true;
	l->at = l->after = l->end;
	l->token = LEX_END;
}

void lex_expected(struct litmus_lexer *l, const char *what)
{
	if (l->token == LEX_END)
		lex_fail(l, "expected %s, found the end of the file", what);
	else if (isprint((unsigned char)*l->at))
		lex_fail(l, "expected %s, found '%.*s'", what,
			 (int)(l->after - l->at > 40 ? 40 : l->after - l->at), l->at);
	else
		lex_fail(l, "expected %s, found the byte 0x%02x", what, (unsigned char)*l->at);
}

bool lex_starts(const struct litmus_lexer *l, const char *s)
{
	return (size_t)(l->end - l->at) >= strlen(s) && !strncmp(l->at, s, strlen(s));
}

void lex_skip_char(struct litmus_lexer *l)
{
	l->line += *l->at == '\n';
	l->at++;
}

void lex_skip_comment(struct litmus_lexer *l)
{
	const int line = l->line;
	unsigned depth = 0;

	do {
		if (l->at == l->end) {
			l->line = line;
			lex_fail(
				l,
				"expected the end of the comment that starts here, found the end of the file");
			return;
		}
		if (lex_starts(l, "(*")) {
			depth++;
			l->at++;
		} else if (lex_starts(l, "*)")) {
			depth--;
			l->at++;
		}
		lex_skip_char(l);
	} while (depth);
}

static void skip_blanks(struct litmus_lexer *l)
{
	while (l->at < l->end) {
		if (isspace((unsigned char)*l->at))
			lex_skip_char(l);
		else if (lex_starts(l, "(*"))
			lex_skip_comment(l);
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

void lex_next(struct litmus_lexer *l)
{
	static const struct {
		const char *text;
		enum litmus_token token;
	} longer[] = { { "/\\", LEX_CONJUNCTION }, { "&&", LEX_CONJUNCTION },
		       { "\\/", LEX_DISJUNCTION }, { "||", LEX_DISJUNCTION },
		       { "=>", LEX_IMPLIES },	   { "!=", LEX_DIFFERS },
		       { "<>", LEX_DIFFERS } };
	const char *c;

	l->at = l->after;
	skip_blanks(l);
	l->after = c = l->at;
	if (c == l->end) {
		l->token = LEX_END;
		return;
	}
	for (size_t i = 0; i < sizeof(longer) / sizeof(longer[0]); i++) {
		if (lex_starts(l, longer[i].text)) {
			l->token = longer[i].token;
			l->after = c + 2;
			return;
		}
	}
	if (is_digit(*c) || (*c == '-' && c + 1 < l->end && is_digit(c[1])))
		l->token = LEX_NUMBER;
	else
		l->token = is_name(*c) ? LEX_IDENTIFIER : LEX_SYMBOL;
	l->after = c + 1;
	while (l->token != LEX_SYMBOL && l->after < l->end && is_name(*l->after))
		l->after++;
}

bool lex_is_symbol(const struct litmus_lexer *l, char c)
{
	return l->token == LEX_SYMBOL && *l->at == c;
}

bool lex_accept(struct litmus_lexer *l, char c)
{
	if (!lex_is_symbol(l, c))
		return false;
	lex_next(l);
	return true;
}

void lex_expect(struct litmus_lexer *l, char c)
{
	const char what[] = { '\'', c, '\'', 0 };

	if (!lex_accept(l, c))
		lex_expected(l, what);
}

bool lex_is_word(const struct litmus_lexer *l, const char *word)
{
	return l->token == LEX_IDENTIFIER && (size_t)(l->after - l->at) == strlen(word) &&
	       !strncmp(l->at, word, strlen(word));
}

bool lex_accept_word(struct litmus_lexer *l, const char *word)
{
	if (!lex_is_word(l, word))
		return false;
	lex_next(l);
	return true;
}

bool lex_copy_name(struct litmus_lexer *l, char name[LAZYTSC_LITMUS_NAME])
{
	size_t n = (size_t)(l->after - l->at);

	if (n > LAZYTSC_LITMUS_NAME - 16) {
		lex_fail(l, "a name of %zu characters, more than %d", n, LAZYTSC_LITMUS_NAME - 16);
		return false;
	}
	memcpy(name, l->at, n);
	name[n] = 0;
	return true;
}

int64_t lex_number(struct litmus_lexer *l)
{
	char digits[LAZYTSC_LITMUS_NAME], *end;
	unsigned long long magnitude;
	bool negative;

	if (l->token != LEX_NUMBER) {
		lex_expected(l, "a number");
		return 0;
	}
	if (!lex_copy_name(l, digits))
		return 0;
	negative = digits[0] == '-';
	errno = 0;
	magnitude = strtoull(digits + negative, &end, 0);
	if (*end || errno) {
		lex_expected(l, "a number of 64 bits");
		return 0;
	}
	lex_next(l);
	return (int64_t)(negative ? 0 - magnitude : magnitude);
}
