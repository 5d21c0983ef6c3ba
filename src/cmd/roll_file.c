/* SPDX-License-Identifier: MIT */
/*
 * The state file of a rollover: one JSON object, replaced as a whole.
 *
 * Knows what must be on the disk before anything happens in the world. Refuses to know what the
 * state means.
 */
#include "cmd/roll.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

enum { FORMAT_VERSION = 1, JOB_MEM_MAX = 4 * 1024 * 1024, FILE_MAX = 1024 * 1024 };

void roll_job_init(struct roll_job *j)
{
	*j = (struct roll_job){.port = TLSA_PORT_DEFAULT};
	arena_init(&j->mem, JOB_MEM_MAX);
}

void roll_job_free(struct roll_job *j)
{
	arena_free(&j->mem);
}

bool roll_records_have(const struct roll_records *r, const struct tlsa *rr)
{
	for (size_t i = 0; i < r->n; i++) {
		if (tlsa_cmp(&r->rr[i], rr) == 0)
			return true;
	}
	return false;
}

bool roll_records_add(struct roll_records *r, const struct tlsa *rr)
{
	if (roll_records_have(r, rr))
		return true;
	if (r->n == ROLL_RECORDS_MAX)
		return false;
	r->rr[r->n++] = *rr;
	return true;
}

/* --- The lock --- */

int roll_lock(const struct cmd *c, const char *path, struct roll_lock *l)
{
	char name[PATH_MAX];
	l->fd = -1;
	if (snprintf(name, sizeof(name), "%s.lock", path) >= (int)sizeof(name))
		return cmd_fail(c, EX_USAGE, "the path of the state file is too long");
	l->fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (l->fd < 0)
		return cmd_fail(c, EX_CANTCREAT, "cannot open %s: %s", name, strerror(errno));
	if (flock(l->fd, LOCK_EX | LOCK_NB) == 0)
		return EX_OK;
	roll_unlock(l);
	return cmd_fail(c, EX_TEMPFAIL, "another process works on this rollover (%s is locked)",
			name);
}

void roll_unlock(struct roll_lock *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

bool roll_file_exists(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}

/* --- Writing --- */

static void put_records(struct json *j, const char *key, const struct roll_records *r,
			struct arena *mem)
{
	struct json *list = json_set(j, key, json_array());
	for (size_t i = 0; i < r->n; i++) {
		struct json *one = json_append(list, json_object());
		json_set_str(one, "record", tlsa_to_text(mem, &r->rr[i]));
	}
}

static void put_machine(struct json *j, const struct roll *m)
{
	char boot[20];
	snprintf(boot, sizeof(boot), "%016" PRIx64, m->boot);
	json_set_str(j, "state", roll_state_name(m->state));
	json_set_bool(j, "has_old", m->has_old);
	json_set_int(j, "since", m->since);
	json_set_int(j, "until", m->until);
	json_set_int(j, "hold_s", m->hold_s);
	json_set_int(j, "settle_s", m->settle_s);
	json_set_int(j, "seen", m->seen);
	json_set_str(j, "boot", boot);
	json_set_int(j, "ticks", m->ticks);
	json_set_bool(j, "put_in", m->put_in);
	json_set_bool(j, "dropping", m->dropping);
}

static struct json *to_json(const struct roll_job *job, struct arena *mem)
{
	struct json *j = json_object();
	char ip[IPADDR_TEXT_MAX];
	json_set_int(j, "version", FORMAT_VERSION);
	json_set_str(j, "host", job->host);
	json_set_int(j, "port", job->port);
	json_set_str(j, "owner", job->owner);
	json_set_int(j, "ttl", job->ttl);
	put_machine(j, &job->machine);
	json_set_int(j, "usage", job->form.usage);
	json_set_int(j, "selector", job->form.selector);
	json_set_int(j, "mtype", job->form.mtype);
	put_records(j, "old", &job->old, mem);
	put_records(j, "new", &job->new, mem);
	json_set_str(j, "key_file", job->key_file);
	json_set_str(j, "csr_file", job->csr_file);
	json_set_str(j, "key_type", tls_key_type_name(job->key_type));
	struct json *list = json_set(j, "connect", json_array());
	for (size_t i = 0; i < job->naddress; i++) {
		ipaddr_to_text(&job->address[i], ip);
		json_set_str(json_append(list, json_object()), "address", ip);
	}
	json_set_int(j, "connect_port", job->connect_port);
	json_set_str(j, "hook", job->hook);
	json_set_bool(j, "nsupdate", job->nsupdate);
	json_set_str(j, "server", job->server);
	json_set_str(j, "tsig", job->tsig);
	return j;
}

bool roll_sync_folder_of(const char *path)
{
	char copy[PATH_MAX];
	snprintf(copy, sizeof(copy), "%s", path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

static bool write_whole(const struct json *j, int fd)
{
	FILE *f = fdopen(fd, "w");
	if (f == NULL) {
		close(fd);
		return false;
	}
	bool ok = json_write_line(j, f) && fflush(f) == 0 && fsync(fd) == 0;
	int error = errno;
	ok = fclose(f) == 0 && ok;
	if (!ok && error != 0)
		errno = error;
	return ok;
}

static bool replace(const struct json *j, const char *path)
{
	char temporary[PATH_MAX];
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	/* What a killed process left; nobody else writes while we have the lock. */
	if (unlink(temporary) != 0 && errno != ENOENT)
		return false;
	int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd >= 0 && write_whole(j, fd) && rename(temporary, path) == 0 &&
	       roll_sync_folder_of(path);
}

int roll_save(const struct cmd *c, const char *path, const struct roll_job *job)
{
	struct arena mem;
	arena_init(&mem, JOB_MEM_MAX);
	struct json *j = to_json(job, &mem);
	errno = 0;
	bool ok = json_ok(j) && !mem.failed && replace(j, path);
	int error = errno;
	json_free(&j);
	arena_free(&mem);
	if (ok)
		return EX_OK;
	return cmd_fail(c, EX_IOERR, "cannot write the state file %s: %s; nothing else was done",
			path, error != 0 ? strerror(error) : "out of memory");
}

/* --- Reading --- */

static const char *get_str(struct roll_job *job, const struct json *j, const char *key)
{
	const char *s = json_get_str(j, key);
	return s != NULL ? arena_strdup(&job->mem, s) : NULL;
}

static bool get_records(struct roll_job *job, struct json *j, const char *key,
			struct roll_records *out)
{
	for (size_t i = 0; i < json_get_count(j, key); i++) {
		const char *text = json_get_str(json_get_item(j, key, i), "record");
		struct tlsa rr;
		size_t room = text != NULL ? strlen(text) / 2 + 1 : 0;
		uint8_t *store = room > 0 ? arena_alloc(&job->mem, room) : NULL;
		if (store == NULL ||
		    tlsa_from_text(slice_str(text), store, room, &rr) != TLSA_TEXT_OK ||
		    !roll_records_add(out, &rr))
			return false;
		tls_judge_full(&out->rr[out->n - 1]);
	}
	return true;
}

static bool get_machine(const struct json *j, struct roll *m)
{
	const char *state = json_get_str(j, "state"), *boot = json_get_str(j, "boot");
	*m = (struct roll){
	    .has_old = json_get_bool(j, "has_old"),
	    .since = json_get_int(j, "since"),
	    .until = json_get_int(j, "until"),
	    .settle_s = json_get_int(j, "settle_s"),
	    .seen = json_get_int(j, "seen"),
	    .boot = boot != NULL ? strtoull(boot, NULL, 16) : 0,
	    .ticks = json_get_int(j, "ticks"),
	    .put_in = json_get_bool(j, "put_in"),
	    .dropping = json_get_bool(j, "dropping"),
	};
	int64_t hold = json_get_int(j, "hold_s");
	if (hold < 0 || hold > UINT32_MAX || boot == NULL || state == NULL)
		return false;
	m->hold_s = (uint32_t)hold;
	return roll_state_from_name(state, &m->state);
}

static bool get_addresses(struct roll_job *job, struct json *j)
{
	for (size_t i = 0; i < json_get_count(j, "connect"); i++) {
		const char *text = json_get_str(json_get_item(j, "connect", i), "address");
		if (text == NULL || job->naddress == ROLL_ADDRESSES_MAX ||
		    !ipaddr_from_text(slice_str(text), &job->address[job->naddress]))
			return false;
		job->naddress++;
	}
	return true;
}

static bool get_number(const struct json *j, const char *key, int64_t max, int64_t *out)
{
	*out = json_get_int(j, key);
	return json_has_key(j, key) && *out >= 0 && *out <= max;
}

static bool get_numbers(struct roll_job *job, const struct json *j)
{
	int64_t port, connect, ttl, usage, selector, mtype;
	if (!get_number(j, "port", UINT16_MAX, &port) ||
	    !get_number(j, "connect_port", UINT16_MAX, &connect) ||
	    !get_number(j, "ttl", INT32_MAX, &ttl) || !get_number(j, "usage", 3, &usage) ||
	    !get_number(j, "selector", 1, &selector) || !get_number(j, "mtype", 2, &mtype))
		return false;
	job->port = (uint16_t)port;
	job->connect_port = (uint16_t)connect;
	job->ttl = (uint32_t)ttl;
	job->form = (struct tlsa){
	    .usage = (uint8_t)usage, .selector = (uint8_t)selector, .mtype = (uint8_t)mtype};
	return true;
}

/* What is missing would read as nothing or zero: a shorter wait, no record to keep. */
static bool is_whole(const struct json *j)
{
	static const char *const keys[] = {
	    "host",    "owner",    "has_old", "since",  "until",        "hold_s", "seen",
	    "boot",    "settle_s", "ticks",   "put_in", "old",          "new",    "dropping",
	    "connect", "nsupdate", "server",  "hook",   "connect_port", "tsig",   "key_file"};
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (!json_has_key(j, keys[i]))
			return false;
	}
	return true;
}

static bool from_json(struct roll_job *job, struct json *j)
{
	const char *type = json_get_str(j, "key_type");
	job->host = get_str(job, j, "host");
	job->owner = get_str(job, j, "owner");
	job->key_file = get_str(job, j, "key_file");
	job->csr_file = get_str(job, j, "csr_file");
	job->hook = get_str(job, j, "hook");
	job->server = get_str(job, j, "server");
	job->tsig = get_str(job, j, "tsig");
	job->nsupdate = json_get_bool(j, "nsupdate");
	return is_whole(j) && job->host != NULL && job->owner != NULL && type != NULL &&
	       tls_key_type_from_text(type, &job->key_type) && get_numbers(job, j) &&
	       get_machine(j, &job->machine) && get_records(job, j, "old", &job->old) &&
	       get_records(job, j, "new", &job->new) && get_addresses(job, j) && !job->mem.failed;
}

int roll_load(const struct cmd *c, const char *path, struct roll_job *job)
{
	struct buf text;
	if (!roll_file_exists(path))
		return cmd_fail(c, EX_NOINPUT,
				"there is no rollover: %s does not exist; begin one with 'danelaw "
				"tlsa roll start'",
				path);
	buf_init(&text, FILE_MAX);
	int code = tlsa_read_file(c, path, &text);
	struct json *j = code == EX_OK ? json_parse(buf_cstr(&text), buf_len(&text)) : NULL;
	if (code == EX_OK && j == NULL)
		code = cmd_fail(c, EX_DATAERR, "%s is not a state file: no JSON", path);
	else if (code == EX_OK && json_get_int(j, "version") != FORMAT_VERSION)
		code = cmd_fail(c, EX_DATAERR, "%s: version %" PRId64 " is not known here", path,
				json_get_int(j, "version"));
	else if (code == EX_OK && !from_json(job, j))
		code = cmd_fail(c, EX_DATAERR,
				"%s is not a state file: something is missing or "
				"wrong in it",
				path);
	json_free(&j);
	buf_free(&text);
	return code;
}
