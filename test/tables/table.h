/* SPDX-License-Identifier: MIT */
/* What the tables of the decisions share: cmocka, and a row that says which sentence it stands for.
 */
#ifndef TEST_TABLE_H
#define TEST_TABLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* Fails the test with the row's own sentence, so that a log alone says which rule broke. */
#define row_check(condition, rule)                                                                 \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fail_msg("%s\n    violated: %s", (rule), #condition);                      \
	} while (0)

/* NULL stays NULL: not known. A text that cannot be read fails the test. */
static inline struct answer *row_answer(const char *name, uint16_t type, const char *text)
{
	if (text == NULL)
		return NULL;
	struct answer *a = fake_answer(name, type, text);
	if (a == NULL)
		fail_msg("cannot read the answer \"%s\"", text);
	return a;
}

#endif
