/* SPDX-License-Identifier: MIT */
/* From the parent's struct birth to the same in another process. Knows exec and memory files;
 * refuses to know what a role does. */
#include "relay/birth.h"

#include "relay/relay.h"

#include "base/cursor.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

enum {
	BIRTH_MAX = 64 * 1024 * 1024, /* the text of a configuration and what names its parts */
	OVERRIDES_MAX = 4096,
	FD_SHIFT = 1, /* in the file: -1 is 0 */
	FIRST_FD = 3,
	CLOSE_AT_MOST = 65536,
	ERROR_ROOM = 512,
};

/* The number of the memory file is told in the environment: arguments are for people to see. */
#define BIRTH_VARIABLE "DANELAW_BIRTH"
static const char magic[] = "danelaw birth " DANELAW_VERSION;

/* --- The program --- */

static int find_interpreter(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct program *p = arg;
	char real[PATH_MAX];
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type != PT_INTERP)
			continue;
		const char *name =
		    (const char *)(uintptr_t)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
		if (realpath(name, real) != NULL)
			snprintf(p->interpreter, sizeof(p->interpreter), "%s", dirname(real));
	}
	return 1; /* the first one is the program */
}

bool program_open(struct program *p)
{
	*p = (struct program){.fd = -1};
	snprintf(p->path, sizeof(p->path), "/proc/self/exe");
	p->fd = open(p->path, O_PATH | O_CLOEXEC);
	if (p->fd < 0) { /* no /proc */
		const char *name = (const char *)(uintptr_t)getauxval(AT_EXECFN);
		snprintf(p->path, sizeof(p->path), "%s", name != NULL ? name : "");
		p->fd = open(p->path, O_PATH | O_CLOEXEC);
	}
	dl_iterate_phdr(find_interpreter, p);
	return p->fd >= 0;
}

void program_close(struct program *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

/* --- The memory file --- */

static void put_fd(struct buf *out, int fd)
{
	put_u32(out, (uint32_t)(fd + FD_SHIFT));
}

static int get_fd(struct cursor *c)
{
	uint32_t v = cursor_u32(c);
	if (v > INT_MAX)
		c->failed = true;
	return c->failed ? -1 : (int)v - FD_SHIFT;
}

static void put_source(struct buf *out, const struct conf_source *s)
{
	put_str(out, s->path);
	put_u8(out, s->text.p != NULL);
	put_bytes(out, s->text);
	put_u32(out, (uint32_t)s->noverride);
	for (size_t i = 0; i < s->noverride; i++)
		put_str(out, s->override[i]);
}

static void get_source(struct cursor *c, struct arena *mem, struct conf_source *s)
{
	s->path = get_str(c, mem);
	bool file = cursor_u8(c) == 1;
	s->text = get_bytes(c);
	if (!file)
		s->text = slice_make(NULL, 0);
	s->noverride = cursor_u32(c);
	if (s->path == NULL || s->noverride > OVERRIDES_MAX)
		c->failed = true;
	const char **list = c->failed ? NULL : arena_array(mem, s->noverride + 1, sizeof(*list));
	for (size_t i = 0; list != NULL && i < s->noverride; i++) {
		list[i] = get_str(c, mem);
		c->failed = c->failed || list[i] == NULL;
	}
	s->override = list;
}

void birth_put(struct buf *out, const struct birth *b)
{
	put_str(out, magic);
	put_u8(out, (uint8_t)b->role);
	put_u32(out, b->number);
	put_u8(out, (uint8_t)b->log_target);
	put_u8(out, (uint8_t)b->log_level);
	put_fd(out, b->parent_fd);
	put_fd(out, b->metrics_fd);
	put_fd(out, b->control_fd);
	put_u32(out, (uint32_t)b->nlistener);
	for (size_t i = 0; i < b->nlistener; i++) {
		put_fd(out, b->listener[i].fd);
		put_str(out, b->listener[i].name);
		put_u8(out, b->listener[i].submission);
		put_u8(out, b->listener[i].implicit_tls);
	}
	put_source(out, conf_source_of(b->conf));
}

static void get_listeners(struct cursor *c, struct born *out)
{
	out->birth.nlistener = cursor_u32(c);
	if (out->birth.nlistener > LISTENERS_MAX)
		c->failed = true;
	for (size_t i = 0; !c->failed && i < out->birth.nlistener; i++) {
		struct listener *l = &out->listener[i];
		l->fd = get_fd(c);
		l->name = get_str(c, &out->mem);
		l->submission = cursor_u8(c) == 1;
		l->implicit_tls = cursor_u8(c) == 1;
		c->failed = c->failed || l->name == NULL;
	}
	out->birth.listener = out->listener;
}

bool birth_get(struct slice text, struct born *out)
{
	struct cursor c = cursor_make(text);
	*out = (struct born){.birth = {.parent_fd = -1}};
	arena_init(&out->mem, BIRTH_MAX);
	const char *mark = get_str(&c, &out->mem);
	if (mark == NULL || strcmp(mark, magic) != 0)
		return false;
	uint8_t role = cursor_u8(&c);
	out->birth.role = (enum role)role;
	out->birth.number = cursor_u32(&c);
	uint8_t target = cursor_u8(&c), level = cursor_u8(&c);
	out->birth.log_target = (enum log_target)target;
	out->birth.log_level = (enum log_level)level;
	out->birth.parent_fd = get_fd(&c);
	out->birth.metrics_fd = get_fd(&c);
	out->birth.control_fd = get_fd(&c);
	get_listeners(&c, out);
	get_source(&c, &out->mem, &out->source);
	return !c.failed && cursor_left(&c) == 0 && !out->mem.failed && role > ROLE_PARENT &&
	       role < ROLE_COUNT && target <= LOG_TARGET_NONE && level <= LOG_LEVEL_DEBUG &&
	       out->birth.parent_fd >= 0;
}

/* Nobody changes it any more, whoever gets the descriptor. Stays open at exec. */
static int seal(struct slice text)
{
	int fd = memfd_create("danelaw-birth", MFD_ALLOW_SEALING);
	bool ok = fd >= 0;
	while (ok && text.n > 0) {
		ssize_t n = write(fd, text.p, text.n);
		ok = n > 0;
		text = slice_from(text, ok ? (size_t)n : 0);
	}
	ok = ok &&
	     fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0;
	if (!ok && fd >= 0)
		close(fd);
	return ok ? fd : -1;
}

/* --- The parent's side --- */

static void keep_open(int fd)
{
	if (fd >= 0)
		fcntl(fd, F_SETFD, 0);
}

static void keep_all_open(const struct birth *b)
{
	keep_open(b->parent_fd);
	keep_open(b->metrics_fd);
	keep_open(b->control_fd);
	for (size_t i = 0; i < b->nlistener; i++)
		keep_open(b->listener[i].fd);
}

void birth_exec(const struct program *p, const struct birth *b)
{
	struct buf text;
	char title[64], number[LOG_INT_TEXT];
	buf_init(&text, BIRTH_MAX);
	birth_put(&text, b);
	int fd = buf_ok(&text) ? seal(buf_slice(&text)) : -1;
	buf_free(&text);
	if (fd < 0 || setenv(BIRTH_VARIABLE, log_int(number, fd), 1) != 0)
		return;
	keep_all_open(b);
	snprintf(title, sizeof(title), "danelaw relay: %s %u", role_name(b->role), b->number);
	char *const argv[] = {title, NULL};
	syscall(SYS_execveat, p->fd, "", argv, environ, AT_EMPTY_PATH);
}

/* --- The child's --- */

static bool is_mine(const struct birth *b, int fd)
{
	bool mine = fd == b->parent_fd || fd == b->metrics_fd || fd == b->control_fd;
	for (size_t i = 0; i < b->nlistener; i++)
		mine = mine || fd == b->listener[i].fd;
	return mine;
}

static void close_range_of(unsigned first, unsigned last)
{
	if (syscall(SYS_close_range, first, last, 0) == 0)
		return;
	for (unsigned fd = first; fd <= last && fd < CLOSE_AT_MOST; fd++)
		close((int)fd);
}

/* What whoever started the relay had open is not for us. */
static void close_others(const struct birth *b)
{
	unsigned from = FIRST_FD;
	int high = FIRST_FD;
	for (size_t i = 0; i < b->nlistener; i++)
		high = b->listener[i].fd > high ? b->listener[i].fd : high;
	const int own[] = {b->parent_fd, b->metrics_fd, b->control_fd};
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		high = own[i] > high ? own[i] : high;
	for (unsigned fd = FIRST_FD; fd <= (unsigned)high; fd++) {
		if (!is_mine(b, (int)fd))
			continue;
		if (fd > from)
			close_range_of(from, fd - 1);
		from = fd + 1;
	}
	close_range_of(from, UINT_MAX);
	for (unsigned fd = FIRST_FD; fd <= (unsigned)high; fd++) {
		if (is_mine(b, (int)fd))
			fcntl((int)fd, F_SETFD, FD_CLOEXEC);
	}
}

/* Sealed, else anybody could have made it. The text is a mapping that stays. */
static struct slice text_of(int fd)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	bool good = seals >= 0 && (seals & F_SEAL_WRITE) != 0 && fstat(fd, &st) == 0 &&
		    st.st_size > 0 && st.st_size <= BIRTH_MAX;
	void *p = good ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
	return p != MAP_FAILED ? slice_make(p, (size_t)st.st_size) : slice_make(NULL, 0);
}

static int live(struct born *b, const struct conf_hooks *hooks)
{
	static int (*const mains[])(const struct birth *) = {[ROLE_INTAKE] = intake_main,
							     [ROLE_KEEPER] = keeper_main,
							     [ROLE_COURIER] = courier_main,
							     [ROLE_RESOLVER] = resolver_main,
							     [ROLE_WARDEN] = warden_main};
	char error[ERROR_ROOM] = "";
	close_others(&b->birth);
	struct log *log = log_new(b->birth.log_target, b->birth.log_level);
	struct conf *c = conf_load_source(&b->source, hooks, error, sizeof(error));
	int code = EX_CONFIG;
	b->birth.conf = c;
	b->birth.log = log;
	if (c != NULL)
		code = mains[b->birth.role](&b->birth);
	else
		log_event(log, LOG_LEVEL_ERROR, "birth", "role", role_name(b->birth.role), "error",
			  error, NULL);
	conf_free(&c);
	log_free(&log);
	return code;
}

bool relay_born(const struct conf_hooks *hooks, int *code)
{
	const char *number = getenv(BIRTH_VARIABLE);
	uint64_t fd;
	struct born b;
	if (number == NULL || !slice_to_u64(slice_str(number), INT_MAX, &fd))
		return false;
	struct slice text = text_of((int)fd);
	unsetenv(BIRTH_VARIABLE);
	prctl(PR_SET_NAME, "danelaw");
	*code = EX_USAGE;
	if (text.p != NULL && birth_get(text, &b)) {
		*code = live(&b, hooks);
		arena_free(&b.mem);
	}
	return true;
}
