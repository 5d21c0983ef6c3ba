/* SPDX-License-Identifier: MIT */
/* Findings as a message and as metrics. Knows neither process nor clock. */
#include "relay/findings.h"

#include "base/cursor.h"
#include "base/foreign.h"
#include "relay/channel.h"

#include <inttypes.h>
#include <string.h>

enum { ABOUT_MAX = 255 }; /* a host, a domain, an address */

/* --- The message --- */

void findings_put(struct buf *b, const struct findings *f)
{
	size_t n = f->n < FINDINGS_TOLD_MAX ? f->n : FINDINGS_TOLD_MAX;
	put_u64(b, (uint64_t)f->when);
	put_u8(b, (uint8_t)f->result);
	put_u8(b, f->starttls);
	put_u32(b, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		put_u8(b, (uint8_t)f->note[i].kind);
		put_u8(b, (uint8_t)f->note[i].severity);
		put_u16(b, f->note[i].port);
		put_str(b, f->note[i].about);
	}
}

/* The name of a host or a domain, which stands in a line of the metrics. */
static bool is_name(const char *about)
{
	return strlen(about) <= ABOUT_MAX && foreign_is_plain(slice_str(about));
}

static bool get_note(struct cursor *c, struct arena *mem, struct finding_note *out)
{
	uint8_t kind = cursor_u8(c), severity = cursor_u8(c);
	out->port = cursor_u16(c);
	out->about = get_str(c, mem);
	if (c->failed || kind >= SELFCHECK_KINDS || severity > SELFCHECK_ERROR ||
	    out->about == NULL || !is_name(out->about))
		return false;
	out->kind = (enum selfcheck_kind)kind;
	out->severity = (enum selfcheck_severity)severity;
	return true;
}

bool findings_get(struct slice payload, struct arena *mem, struct findings *out)
{
	struct cursor c = cursor_make(payload);
	*out = (struct findings){.when = (int64_t)get_u64(&c)};
	uint8_t result = cursor_u8(&c), starttls = cursor_u8(&c);
	uint32_t n = cursor_u32(&c);
	if (c.failed || result > SELFCHECK_NO_LOOKUP || starttls > 1 || n > FINDINGS_TOLD_MAX)
		return false;
	struct finding_note *note = arena_array(mem, n + 1, sizeof(*note));
	if (note == NULL)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		if (!get_note(&c, mem, &note[i]))
			return false;
	}
	out->result = (enum selfcheck_result)result;
	out->starttls = starttls != 0;
	out->note = note;
	out->n = n;
	return cursor_left(&c) == 0 && !mem->failed;
}

/* --- Metrics --- */

static bool same(const struct finding_note *a, const struct finding_note *b)
{
	return a->kind == b->kind && a->severity == b->severity && a->port == b->port &&
	       strcmp(a->about, b->about) == 0;
}

static bool is_first(const struct findings *f, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (same(&f->note[k], &f->note[i]))
			return false;
	}
	return true;
}

static unsigned count_of(const struct findings *f, size_t i)
{
	unsigned n = 0;
	for (size_t k = i; k < f->n; k++)
		n += same(&f->note[k], &f->note[i]);
	return n;
}

/* A label's value, a name: backslash and quote are escaped, and it has no line ends. */
static void label(struct buf *out, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '\\' || *s == '"')
			buf_add_u8(out, '\\');
		buf_add_u8(out, (uint8_t)*s);
	}
}

static void write_note(const struct findings *f, size_t i, struct buf *out)
{
	const struct finding_note *x = &f->note[i];
	buf_addf(out, "danelaw_selfcheck_findings{finding=\"%s\",severity=\"%s\",name=\"",
		 selfcheck_kind_name(x->kind), selfcheck_severity_name(x->severity));
	label(out, x->about);
	if (x->port != 0)
		buf_addf(out, ":%u", x->port);
	buf_addf(out, "\"} %u\n", count_of(f, i));
}

static void head(struct buf *b, const char *name, const char *help)
{
	buf_addf(b, "# HELP danelaw_selfcheck_%s %s\n# TYPE danelaw_selfcheck_%s gauge\n", name,
		 help, name);
}

void findings_metrics(const struct findings *f, struct buf *out)
{
	if (f->when == 0)
		return;
	head(out, "findings", "What the last look at our own TLSA records found.");
	for (size_t i = 0; i < f->n; i++) {
		if (is_first(f, i))
			write_note(f, i, out);
	}
	head(out, "last_run_timestamp_seconds", "When that was.");
	buf_addf(out, "danelaw_selfcheck_last_run_timestamp_seconds %" PRId64 "\n", f->when);
	head(out, "result", "1 for how it ended.");
	for (int r = SELFCHECK_WELL; r <= SELFCHECK_NO_LOOKUP; r++)
		buf_addf(out, "danelaw_selfcheck_result{result=\"%s\"} %d\n",
			 selfcheck_result_name((enum selfcheck_result)r), (int)f->result == r);
	head(out, "starttls", "1 if STARTTLS is offered on relay.smtp as far as that goes.");
	buf_addf(out, "danelaw_selfcheck_starttls %d\n", f->starttls);
}
