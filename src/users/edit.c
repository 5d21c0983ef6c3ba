/* SPDX-License-Identifier: MIT */
/*
 * One line of the users' file added, changed or taken out; everything else stays as it was.
 *
 * Refuses to judge other users' hashes: a weak one must be replaceable, one by one.
 */
#include "users/room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct change {
	const char *file;
	struct slice name;
	struct slice hash; /* empty: take the user out */
	struct buf out;
	bool found;
	char *error;
	size_t room;
};

static void put_user(struct change *c, struct slice comment)
{
	buf_add_slice(&c->out, c->name);
	buf_add_u8(&c->out, ':');
	buf_add_slice(&c->out, c->hash);
	buf_add_slice(&c->out, comment);
	buf_add_u8(&c->out, '\n');
}

static const char *copy_line(struct change *c, struct slice line)
{
	struct users_line l;
	const char *wrong = users_line_parse(line, &l);
	if (wrong != NULL)
		return wrong;
	if (l.name.n == 0 || !slice_eq(l.name, c->name)) {
		buf_add_slice(&c->out, line);
		buf_add_u8(&c->out, '\n');
		return NULL;
	}
	if (c->found)
		return "this user is there twice";
	c->found = true;
	if (c->hash.n > 0)
		put_user(c, l.comment);
	return NULL;
}

static bool copy_lines(struct change *c, struct slice text)
{
	struct slice line;
	for (unsigned number = 1; users_line_next(&text, &line); number++) {
		const char *wrong = copy_line(c, line);
		if (wrong != NULL) {
			snprintf(c->error, c->room, "%s:%u: %s", c->file, number, wrong);
			return false;
		}
	}
	if (!c->found && c->hash.n > 0)
		put_user(c, (struct slice){0});
	if (!buf_ok(&c->out))
		snprintf(c->error, c->room, "%s: larger than 32 MiB, or out of memory", c->file);
	return buf_ok(&c->out);
}

static enum users_edit rewrite(struct change *c, struct users_file *f)
{
	if (!copy_lines(c, buf_slice(&f->text)))
		return USERS_EDIT_FAILED;
	if (!c->found && c->hash.n == 0)
		return USERS_UNKNOWN;
	if (!users_file_replace(f, buf_slice(&c->out), c->error, c->room))
		return USERS_EDIT_FAILED;
	if (c->hash.n == 0)
		return USERS_REMOVED;
	return c->found ? USERS_CHANGED : USERS_ADDED;
}

static enum users_edit edit(struct change *c, enum file_mode m)
{
	struct users_file f;
	enum users_edit result = USERS_EDIT_FAILED;
	buf_init(&c->out, USERS_FILE_MAX);
	if (users_file_open(&f, c->file, m, c->error, c->room))
		result = rewrite(c, &f);
	if (c->out.p != NULL)
		explicit_bzero(c->out.p, c->out.cap);
	buf_free(&c->out);
	users_file_close(&f);
	return result;
}

enum users_edit users_set(const char *file, const char *name, const char *hash, char *error,
			  size_t room)
{
	struct users_line l;
	struct change c = {.file = file,
			   .name = slice_str(name),
			   .hash = slice_str(hash),
			   .error = error,
			   .room = room};
	char line[USERS_NAME_MAX + USERS_HASH_MAX + 2];
	const char *wrong = users_name_error(c.name);
	if (wrong == NULL && c.hash.n > USERS_HASH_MAX)
		wrong = "a password hash of more than 383 octets";
	if (wrong == NULL) {
		int n = snprintf(line, sizeof(line), "%s:%s", name, hash);
		wrong = users_line_parse(slice_make(line, (size_t)n), &l);
	}
	if (wrong == NULL && l.comment.n > 0)
		wrong = "a colon in the password hash";
	if (wrong == NULL)
		wrong = users_hash_refused(c.hash);
	if (wrong == NULL)
		return edit(&c, FILE_CREATE);
	snprintf(error, room, "%s", wrong);
	return USERS_EDIT_FAILED;
}

enum users_edit users_remove(const char *file, const char *name, char *error, size_t room)
{
	struct change c = {.file = file, .name = slice_str(name), .error = error, .room = room};
	const char *wrong = users_name_error(c.name);
	if (wrong == NULL)
		return edit(&c, FILE_EDIT);
	snprintf(error, room, "%s", wrong);
	return USERS_EDIT_FAILED;
}

bool users_list(const char *file,
		void (*each)(void *arg, struct slice name, const char *method, const char *refused),
		void *arg, char *error, size_t room)
{
	struct users_file f;
	struct slice line;
	/* FILE_EDIT: who wants to put a file in order must be able to see it. */
	bool ok = users_file_open(&f, file, FILE_EDIT, error, room);
	struct slice rest = buf_slice(&f.text);
	for (unsigned number = 1; ok && users_line_next(&rest, &line); number++) {
		struct users_line l;
		const char *wrong = users_line_parse(line, &l);
		ok = wrong == NULL;
		if (wrong != NULL)
			snprintf(error, room, "%s:%u: %s", file, number, wrong);
		else if (l.name.n > 0)
			each(arg, l.name, users_method(l.hash), users_hash_refused(l.hash));
	}
	users_file_close(&f);
	return ok;
}
