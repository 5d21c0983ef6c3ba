/* SPDX-License-Identifier: MIT */
/*
 * users, inside: line.c reads a line (pure), method.c knows the hashes by their prefix (pure),
 * file.c reads and replaces files, users.c holds a file in memory and checks passwords, hash.c
 * calls crypt(3), edit.c changes one line of a file.
 */
#ifndef USERS_ROOM_H
#define USERS_ROOM_H

#include "base/buf.h"
#include "users/users.h"

/* --- line.c --- */

struct users_line {
	struct slice name; /* empty: a comment or an empty line */
	struct slice hash;
	struct slice comment; /* with its colon; empty if there is none */
};

/* One line without its line end. NULL, or what is wrong with it. Slices point into `line`. */
const char *users_line_parse(struct slice line, struct users_line *out);
/* The next line of *rest (without LF), which moves behind it. false: there is none. */
bool users_line_next(struct slice *rest, struct slice *line);

/* --- method.c --- */

/* Of a hash in crypt(3)'s form: "yescrypt", "DES" ...; "unknown". */
const char *users_method(struct slice hash);
/* NULL if the hash may be used, else why not. */
const char *users_hash_refused(struct slice hash);

/* --- file.c --- */

enum file_mode {
	FILE_READ,
	FILE_EDIT,   /* and lock */
	FILE_CREATE, /* the same, and make it if it is not there */
};

struct users_file {
	char *path; /* without symbolic links */
	int fd;     /* holds the lock */
	struct buf text;
	unsigned mode;
	unsigned owner, group;
};

bool users_file_open(struct users_file *f, const char *path, enum file_mode m, char *error,
		     size_t room);
/* Replaces the file with `text`: written beside it, synced, renamed. */
bool users_file_replace(struct users_file *f, struct slice text, char *error, size_t room);
void users_file_close(struct users_file *f); /* wipes the text */

/* --- hash.c --- */

/* crypt(3) of the password under this hash's setting. false: it failed. */
bool users_crypt(const char *password, const char *setting, char out[static USERS_HASH_MAX + 1]);
/* Can this system's library read the hash at all? */
bool users_crypt_knows(struct slice hash);

#endif
