/* SPDX-License-Identifier: MIT */
/*
 * users: the file of submission users (S3): who may log in, and with what password. The only room
 * that knows crypt(3).
 *
 *     # a comment
 *     alice@example.org:$y$j9T$...:anything
 *
 * One user a line: name, hash, and an optional comment, which may have colons. Lines that begin
 * with # (after blanks) and empty ones are left alone. Names are compared octet by octet. Files are
 * replaced whole (rename), so that a reader sees the old or the new one.
 *
 * Not thread-safe, but users_check() may run in several threads at once on one struct users.
 */
#ifndef USERS_USERS_H
#define USERS_USERS_H

#include "base/slice.h"

enum {
	USERS_NAME_MAX = 255,     /* octets; what fits into an AUTH exchange and a log line */
	USERS_PASSWORD_MAX = 511, /* octets; crypt(3)'s own limit */
	USERS_HASH_MAX = 383,     /* likewise */
	USERS_LINE_MAX = 2048,    /* octets without the line end: a wrong file fails early */
	USERS_MAX = 100000,       /* of one file */
	USERS_FILE_MAX = 32 * 1024 * 1024,
};

struct users;

/*
 * Reads a file. NULL on error; then `error` is "file:line: what is wrong": a line that is none, a
 * name twice, a hash too weak to keep (DES, MD5, NT, SHA-1); or "file: ..." if it cannot be read or
 * everybody may read or write it.
 */
struct users *users_load(const char *file, char *error, size_t room);
/* The same from text; `file` only serves messages. */
struct users *users_parse(struct slice text, const char *file, char *error, size_t room);
void users_free(struct users **u); /* wipes the hashes */
size_t users_count(const struct users *u);

enum users_verdict {
	USERS_YES,
	USERS_NO,    /* wrong password or unknown name: nobody is told which */
	USERS_ERROR, /* crypt(3) failed for a user that exists, or no memory: 454, not 535 */
};

/*
 * Takes tens of milliseconds of CPU, on purpose, and as much for an unknown name as for a known
 * one: an unknown name is measured against the hash of some user, always the same for the same
 * name, so that a file of many costs gives nothing away either. An empty password, and one that is
 * too long or has a NUL, is USERS_NO after the same work. The password is not kept.
 */
enum users_verdict users_check(const struct users *u, struct slice name, struct slice password);

/* --- Changing a file --- */

/*
 * A new hash: yescrypt, or SHA-512 where the library has no yescrypt. false: `error` says why; the
 * password is empty, too long, or has a control character (no client can send one).
 */
bool users_hash(struct slice password, char hash[static USERS_HASH_MAX + 1], char *error,
		size_t room);

enum users_edit {
	USERS_EDIT_FAILED, /* `error` says why; the file is as it was */
	USERS_ADDED,
	USERS_CHANGED,
	USERS_REMOVED,
	USERS_UNKNOWN, /* to be removed, but not there */
};

/*
 * Both keep the order, the comments, the owner and the mode (without rights for everybody), follow
 * a symbolic link, hold a lock against each other, and have the new file on disk when they return.
 * They mind the form of the other lines but not the strength of their hashes. users_set() makes a
 * file that is not there (mode 0600). After "changed, but perhaps not on disk" the new file is in
 * its place.
 */
enum users_edit users_set(const char *file, const char *name, const char *hash, char *error,
			  size_t room);
enum users_edit users_remove(const char *file, const char *name, char *error, size_t room);

/*
 * Calls `each` for every user in the order of the file: its hash's method ("yescrypt") and why it
 * would be refused (NULL: it would not). Slices are valid during the call only. false: `error`.
 */
bool users_list(const char *file,
		void (*each)(void *arg, struct slice name, const char *method, const char *refused),
		void *arg, char *error, size_t room);

/* NULL if it may be a name, else why not. */
const char *users_name_error(struct slice name);

#endif
