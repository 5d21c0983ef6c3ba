/* SPDX-License-Identifier: MIT */
/* What the tests of the store share: a folder of their own, small mails, looking at what is there.
 * A failed expectation aborts, so that child processes can use it too. */
#ifndef TEST_STORE_HELP_H
#define TEST_STORE_HELP_H

#include "store/store.h"

struct sqlite3;

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                 \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

enum { T0 = 1000000 }; /* "now" of most tests */

/* A new folder below TMPDIR and the path of a store in it; the folder goes with help_clean(). */
void help_path(char path[static 256]);
void help_clean(const char *path);
/* Removes the store and its log. */
void help_unlink(const char *path);

struct store *help_open(const char *path,
			struct store_recovery *r); /* must succeed; r may be NULL */
enum store_status help_try_open(const char *path, struct store **out, char error[static 256]);

/* Mail number i: id "Qi", i % 7 + 1 parts of odd sizes, two next hops, three recipients. */
enum store_status help_add(struct store *s, int i);
/* One delivery to next_hop with one recipient and a short text. */
enum store_status help_add_one(struct store *s, const char *id, const char *next_hop, int64_t due);
size_t help_size(int i);

/* Everything that is in the store is whole; have[i] says whether mail i is there. */
void help_verify(struct store *s, bool *have, int n);
/* The file as SQLite sees it: integrity, foreign keys, and counters against counts. */
void help_audit(const char *path);
void help_count(struct sqlite3 *db); /* the same, of one that is open */

int64_t help_first_delivery(struct store *s, const char *queue_id);

#endif
