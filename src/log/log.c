/* SPDX-License-Identifier: MIT */
/*
 * Log events as lines, and the ways out.
 *
 * Knows the line format, standard error, syslog and the journal's native protocol. Refuses to know
 * the clock and what the events mean. A log and its children share one sink by counting.
 */
#include "log/log.h"

#include "base/buf.h"
#include "base/foreign.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

struct sink {
	unsigned refs;
	log_sink *write;
	void *arg;
	int fd; /* of the journal, else -1 */
	bool syslog;
};

struct log {
	struct sink *sink;
	enum log_level max;
	struct buf context; /* rendered fields, each after a blank */
};

/* --- the line -------------------------------------------------------------------------------- */

/* May it stand without quotes? */
static bool is_plain(struct slice v)
{
	if (v.n == 0)
		return false;
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] <= ' ' || v.p[i] > '~' || strchr("\"\\=", v.p[i]))
			return false;
	return true;
}

/* The longest start within the limit that does not cut a character. */
static struct slice cut_value(struct slice v)
{
	size_t n = LOG_VALUE_MAX;
	while (n > LOG_VALUE_MAX - 4 && (v.p[n] & 0xc0) == 0x80)
		n--;
	return slice_first(v, n);
}

static void add_quoted(struct buf *out, struct slice v)
{
	while (v.n > 0) {
		bool shown;
		size_t n = foreign_take(v, &shown);
		if (v.p[0] == '"' || v.p[0] == '\\')
			buf_add_str(out, "\\");
		foreign_escape(out, slice_first(v, n));
		v = slice_from(v, n);
	}
}

static void add_field(struct buf *out, const char *key, const char *value)
{
	struct slice v = slice_str(value);
	bool cut = v.n > LOG_VALUE_MAX;
	if (cut)
		v = cut_value(v);
	buf_add_str(out, " ");
	buf_add_str(out, key);
	buf_add_str(out, "=");
	if (!cut && is_plain(v)) {
		buf_add_slice(out, v);
		return;
	}
	buf_add_str(out, "\"");
	add_quoted(out, v);
	buf_add_str(out, cut ? "...\"" : "\"");
}

/* What does not fit the line any more is left out, field by field. */
static void add_fields(struct buf *out, va_list ap)
{
	for (const char *key; (key = va_arg(ap, const char *)) != NULL;) {
		const char *value = va_arg(ap, const char *);
		size_t worst = strlen(key) + 2 + 4 * LOG_VALUE_MAX + 6;
		if (value && buf_room(out) > worst)
			add_field(out, key, value);
	}
}

/* --- ways out -------------------------------------------------------------------------------- */

/* sd-daemon(3): the same numbers as syslog's. */
static int priority(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return LOG_ERR;
	case LOG_LEVEL_WARN:
		return LOG_WARNING;
	case LOG_LEVEL_INFO:
		return LOG_INFO;
	case LOG_LEVEL_DEBUG:
		return LOG_DEBUG;
	}
	return LOG_ERR;
}

/* One write, so that lines of several processes do not mix. */
static void write_all(int fd, struct buf *b)
{
	struct slice s = buf_slice(b);
	ssize_t n = buf_ok(b) ? write(fd, s.p, s.n) : 0;
	(void)n; /* there is nowhere to complain to */
}

static void to_stderr(void *arg, enum log_level level, const char *line)
{
	(void)arg, (void)level;
	struct buf b;
	buf_init(&b, LOG_LINE_MAX + 16);
	buf_add_str(&b, line);
	buf_add_str(&b, "\n");
	write_all(STDERR_FILENO, &b);
	buf_free(&b);
}

static void to_stderr_with_priority(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	struct buf b;
	buf_init(&b, LOG_LINE_MAX + 16);
	buf_addf(&b, "<%d>%s\n", priority(level), line);
	write_all(STDERR_FILENO, &b);
	buf_free(&b);
}

static void to_syslog(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	syslog(LOG_MAIL | priority(level), "%s", line);
}

/* A field per line; values have no newline, so that the simple form does. */
static void to_journal(void *arg, enum log_level level, const char *line)
{
	const struct sink *s = arg;
	struct buf b;
	buf_init(&b, LOG_LINE_MAX + 128);
	buf_addf(&b, "SYSLOG_IDENTIFIER=danelaw\nSYSLOG_FACILITY=2\nPRIORITY=%d\nMESSAGE=%s\n",
		 priority(level), line);
	struct slice all = buf_slice(&b);
	if (buf_ok(&b) && send(s->fd, all.p, all.n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		to_stderr_with_priority(NULL, level, line);
	buf_free(&b);
}

static void to_nowhere(void *arg, enum log_level level, const char *line)
{
	(void)arg, (void)level, (void)line;
}

static int open_journal(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)&sa, sizeof sa) == 0)
		return fd;
	close(fd);
	return -1;
}

/* --- logs ------------------------------------------------------------------------------------ */

static struct log *new_with(struct sink *s, enum log_level max)
{
	struct log *l = calloc(1, sizeof *l);
	if (!l)
		return NULL;
	s->refs++;
	l->sink = s;
	l->max = max;
	buf_init(&l->context, LOG_LINE_MAX / 2);
	return l;
}

static void sink_unref(struct sink *s)
{
	if (s->refs > 0 && --s->refs > 0)
		return;
	if (s->fd >= 0)
		close(s->fd);
	if (s->syslog)
		closelog();
	free(s);
}

struct log *log_new_sink(log_sink *sink, void *arg, enum log_level max)
{
	struct sink *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	*s = (struct sink){.write = sink, .arg = arg, .fd = -1};
	struct log *l = new_with(s, max);
	if (!l)
		sink_unref(s);
	return l;
}

struct log *log_new(enum log_target target, enum log_level max)
{
	struct log *l = log_new_sink(to_nowhere, NULL, max);
	if (!l)
		return NULL;
	struct sink *s = l->sink;
	s->arg = s;
	switch (target) {
	case LOG_TARGET_STDERR:
		s->write = to_stderr;
		break;
	case LOG_TARGET_SYSLOG:
		openlog("danelaw", LOG_PID | LOG_NDELAY, LOG_MAIL);
		s->syslog = true;
		s->write = to_syslog;
		break;
	case LOG_TARGET_JOURNAL:
		s->fd = open_journal();
		s->write = s->fd >= 0 ? to_journal : to_stderr_with_priority;
		break;
	case LOG_TARGET_NONE:
		break;
	}
	return l;
}

struct log *log_child(struct log *parent, ...)
{
	struct log *l = parent ? new_with(parent->sink, parent->max) : NULL;
	if (!l)
		return NULL;
	buf_add_slice(&l->context, buf_slice(&parent->context));
	va_list ap;
	va_start(ap, parent);
	add_fields(&l->context, ap);
	va_end(ap);
	return l;
}

void log_free(struct log **lp)
{
	struct log *l = *lp;
	if (!l)
		return;
	*lp = NULL;
	sink_unref(l->sink);
	buf_free(&l->context);
	free(l);
}

/* --- events ---------------------------------------------------------------------------------- */

bool log_wants(const struct log *l, enum log_level level)
{
	return l && level <= l->max && l->sink->write != to_nowhere;
}

void log_event(struct log *l, enum log_level level, const char *event, ...)
{
	if (!log_wants(l, level))
		return;
	struct buf line;
	buf_init(&line, LOG_LINE_MAX);
	buf_add_str(&line, "event=");
	buf_add_str(&line, event);
	buf_add_slice(&line, buf_slice(&l->context));
	va_list ap;
	va_start(ap, event);
	add_fields(&line, ap);
	va_end(ap);
	const char *text = buf_cstr(&line);
	if (buf_ok(&line))
		l->sink->write(l->sink->arg, level, text);
	buf_free(&line);
}

const char *log_int(char scratch[static LOG_INT_TEXT], int64_t v)
{
	snprintf(scratch, LOG_INT_TEXT, "%lld", (long long)v);
	return scratch;
}

const char *log_level_name(enum log_level level)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	return names[level];
}
