/* SPDX-License-Identifier: MIT */
/* Compares findings with those of the last time. Refuses to know what they mean. */
#include "relay/warden_log.h"

#include <stdio.h>
#include <string.h>

enum { LOG_MEM_MAX = 4 * 1024 * 1024, NAME_ROOM = 320 };

void warden_log_init(struct warden_log *l)
{
	*l = (struct warden_log){.n = 0};
	arena_init(&l->mem[0], LOG_MEM_MAX);
	arena_init(&l->mem[1], LOG_MEM_MAX);
}

void warden_log_free(struct warden_log *l)
{
	arena_free(&l->mem[0]);
	arena_free(&l->mem[1]);
}

static void name_text(const char *about, uint16_t port, char out[static NAME_ROOM])
{
	if (port != 0)
		snprintf(out, NAME_ROOM, "%s:%u", about, port);
	else
		snprintf(out, NAME_ROOM, "%s", about);
}

static enum log_level level_of(enum selfcheck_severity s)
{
	switch (s) {
	case SELFCHECK_NOTICE:
		return LOG_LEVEL_INFO;
	case SELFCHECK_WARNING:
		return LOG_LEVEL_WARN;
	case SELFCHECK_ERROR:
		return LOG_LEVEL_ERROR;
	}
	return LOG_LEVEL_ERROR;
}

static void say(struct log *to, const struct selfcheck_finding *f)
{
	char name[NAME_ROOM];
	name_text(f->about, f->port, name);
	log_event(to, level_of(f->severity), "selfcheck", "finding", selfcheck_kind_name(f->kind),
		  "severity", selfcheck_severity_name(f->severity), "name", name, "text", f->text,
		  "cure", f->cure, "paste", f->paste[0] != '\0' ? f->paste : "-", NULL);
}

static bool note_is(const struct finding_note *n, const char *key,
		    const struct selfcheck_finding *f)
{
	return n->kind == f->kind && n->severity == f->severity && n->port == f->port &&
	       strcmp(n->about, f->about) == 0 && strcmp(key, f->key) == 0;
}

static bool was_there(const struct warden_log *l, const struct selfcheck_finding *f)
{
	for (size_t i = 0; i < l->n; i++) {
		if (note_is(&l->note[i], l->key[i], f))
			return true;
	}
	return false;
}

static void say_gone(const struct warden_log *l, size_t i, struct log *to,
		     const struct selfcheck_finding *const *f, size_t n)
{
	char name[NAME_ROOM];
	for (size_t k = 0; k < n; k++) {
		if (note_is(&l->note[i], l->key[i], f[k]))
			return;
	}
	name_text(l->note[i].about, l->note[i].port, name);
	log_event(to, LOG_LEVEL_INFO, "selfcheck-gone", "finding",
		  selfcheck_kind_name(l->note[i].kind), "severity",
		  selfcheck_severity_name(l->note[i].severity), "name", name, NULL);
}

/* Out of memory: everything is new the next time. */
static void keep(struct warden_log *l, const struct selfcheck_finding *const *f, size_t n)
{
	struct arena *mem = &l->mem[1 - l->now];
	arena_free(mem);
	const char **key = arena_array(mem, n + 1, sizeof(*key));
	struct finding_note *note = arena_array(mem, n + 1, sizeof(*note));
	for (size_t i = 0; key != NULL && note != NULL && i < n; i++) {
		key[i] = arena_strdup(mem, f[i]->key);
		note[i] = (struct finding_note){f[i]->kind, f[i]->severity,
						arena_strdup(mem, f[i]->about), f[i]->port};
	}
	l->n = mem->failed ? 0 : n;
	l->key = key;
	l->note = note;
	l->now = 1 - l->now;
}

void warden_log_findings(struct warden_log *l, struct log *to,
			 const struct selfcheck_finding *const *f, size_t n,
			 enum selfcheck_result result)
{
	for (size_t i = 0; i < n; i++) {
		if (!was_there(l, f[i]))
			say(to, f[i]);
	}
	for (size_t i = 0; i < l->n; i++)
		say_gone(l, i, to, f, n);
	keep(l, f, n);
	log_event(to, l->said ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "selfcheck-done", "result",
		  selfcheck_result_name(result), NULL);
	l->said = true;
}
