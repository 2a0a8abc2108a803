/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words of a litmus test. Blanks and (* comments, (* nested *) too *) stand between them. The
 * first error is said in one line; from then on there is nothing but LEX_END.
 */
#ifndef LAZYTSC_LITMUS_LEX_H
#define LAZYTSC_LITMUS_LEX_H

#include <stdio.h>

#include <lazytsc/sim/litmus.h>

enum litmus_token {
	LEX_END,
	LEX_IDENTIFIER,
	LEX_NUMBER,
	LEX_CONJUNCTION,
	LEX_DISJUNCTION,
	LEX_IMPLIES,
	LEX_DIFFERS,
	LEX_SYMBOL /* one character */
};

/* Set path, err, line (1), at and after (the start of the text) and end, then say lex_next(). */
struct litmus_lexer {
	const char *path; /* for messages */
	FILE *err;
	const char *end; /* of the text; *end is 0 */
	const char *at; /* where the current token starts */
	const char *after; /* where it ends */
	enum litmus_token token;
	int line;
	bool failed;
};

/* Says what is wrong, with file and line. */
__attribute__((format(printf, 2, 3))) void lex_fail(struct litmus_lexer *l, const char *format,
						    ...);

/* Says what was expected, and what stands there instead. */
void lex_expected(struct litmus_lexer *l, const char *what);

/* Goes on to the next token. */
void lex_next(struct litmus_lexer *l);

/* Is the current token this? Accept: and if so, go on. Expect: it must be. */
bool lex_is_symbol(const struct litmus_lexer *l, char c);
bool lex_accept(struct litmus_lexer *l, char c);
void lex_expect(struct litmus_lexer *l, char c);
bool lex_is_word(const struct litmus_lexer *l, const char *word);
bool lex_accept_word(struct litmus_lexer *l, const char *word);

/* Copies the current token. Returns false, having said so, where it is too long. */
bool lex_copy_name(struct litmus_lexer *l, char name[LAZYTSC_LITMUS_NAME]);

/* Reads a number of 64 bits, decimal or 0x, and goes on. */
int64_t lex_number(struct litmus_lexer *l);

/* Below the tokens, from `at`: is this the text there? Step over a character, or a comment. */
bool lex_starts(const struct litmus_lexer *l, const char *s);
void lex_skip_char(struct litmus_lexer *l);
void lex_skip_comment(struct litmus_lexer *l);

#endif
