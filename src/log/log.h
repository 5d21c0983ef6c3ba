/* SPDX-License-Identifier: MIT */
/*
 * log: one event is one line of key=value pairs, to standard error, syslog or the journal.
 *
 * A line is `event=NAME` and then the fields: first those of the context (queue id, peer, attempt;
 * see log_child), then those of the event. A value is quoted when it is empty or holds blanks,
 * quotes, '=' or octets outside printable ASCII; inside quotes `"` and `\` are escaped with `\`,
 * what base/foreign.h does not let through is \xHH, octet by octet: a line never holds a newline,
 * whatever a peer sent. Other UTF-8 stays. A value longer than LOG_VALUE_MAX octets is cut and ends
 * in "...".
 *
 * No time stamp: whoever collects the lines has a clock. Never log message content or keys.
 * Not thread-safe. A NULL `struct log` is allowed everywhere and drops the event; so does a lack
 * of memory (logging never fails an operation).
 */
#ifndef LOG_LOG_H
#define LOG_LOG_H

#include <stdbool.h>
#include <stdint.h>

/* The order is that of the words of the options log.target and log.level (src/conf/options.tbl). */
enum log_target { LOG_TARGET_STDERR, LOG_TARGET_SYSLOG, LOG_TARGET_JOURNAL, LOG_TARGET_NONE };
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

enum {
	LOG_VALUE_MAX = 1024, /* stops a peer that sends long replies from filling the disk */
	LOG_LINE_MAX = 16384,
	LOG_INT_TEXT = 24,
};

struct log;

/* Events above `max` are dropped. NULL: out of memory. If the journal's socket is missing, lines
 * go to standard error with the "<N>" prefix of sd-daemon(3). */
struct log *log_new(enum log_target target, enum log_level max);

/* For tests and for programs with their own way out. `line` has no newline and is valid during the
 * call only. */
typedef void log_sink(void *arg, enum log_level level, const char *line);
struct log *log_new_sink(log_sink *sink, void *arg, enum log_level max);

/* A log with more context: every line through it also carries these fields. Pairs of strings, ended
 * by NULL; a NULL value leaves its field out. The parent may be freed first. NULL parent: NULL. */
struct log *log_child(struct log *parent, ...) __attribute__((sentinel));

void log_free(struct log **l);

bool log_wants(const struct log *l, enum log_level level); /* is it worth computing the fields? */

/* event: lower case words with hyphens, static. Then pairs of strings, ended by NULL; a NULL value
 * leaves its field out. */
void log_event(struct log *l, enum log_level level, const char *event, ...)
    __attribute__((sentinel));

/* Decimal text for a field; returns scratch. */
const char *log_int(char scratch[static LOG_INT_TEXT], int64_t v);

const char *log_level_name(enum log_level level); /* "error", "warn", "info", "debug" */

#endif
