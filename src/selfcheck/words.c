/* SPDX-License-Identifier: MIT */
/*
 * From a kind of finding and its facts to sentences: fills the words in braces of findings.tbl, and
 * keeps the list of findings. Refuses to know what a finding means.
 */
#include "selfcheck/room.h"

#include "base/buf.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

enum {
	FINDINGS_MAX = 512,   /* stops a zone of hundreds of odd records from filling the log */
	TEXT_MAX = 64 * 1024, /* of one sentence: names in certificates are long */
	RECORD_OCTETS = 12,   /* of its data, shown */
	DATE_ROOM = 32,
	DAY = 86400,
	HOUR = 3600,
};

/* --- Words --- */

static const char *date_text(int64_t t, char out[static DATE_ROOM])
{
	struct tm tm;
	time_t when = (time_t)t;
	if (gmtime_r(&when, &tm) == NULL ||
	    strftime(out, DATE_ROOM, "%Y-%m-%d %H:%M UTC", &tm) == 0)
		return "?";
	return out;
}

/* How far away a date is: people count in days, and in hours when it is close. */
static const char *distance_text(int64_t s, char out[static DATE_ROOM])
{
	bool days = s >= 2 * DAY;
	int64_t n = s < 0 ? 0 : s / (days ? DAY : HOUR);
	const char *unit = days ? "day" : "hour";
	(void)snprintf(out, DATE_ROOM, "in %" PRId64 " %s%s", n, unit, n == 1 ? "" : "s");
	return out;
}

struct word {
	const char *name;
	const char *text;
};

static void add_word(struct buf *out, struct slice name, const struct words *w)
{
	char date[DATE_ROOM], in[DATE_ROOM], port[DATE_ROOM];
	(void)snprintf(port, sizeof(port), "%u", (unsigned)w->port);
	const struct word all[] = {
	    {"host", w->host},
	    {"port", port},
	    {"owner", w->owner},
	    {"chain", w->chain},
	    {"file", w->file},
	    {"target", w->target},
	    {"record", w->record},
	    {"asked", w->asked},
	    {"type", w->type},
	    {"other", w->other},
	    {"detail", w->detail},
	    {"domain", w->domain},
	    {"publish", w->publish},
	    {"date", date_text(w->date, date)},
	    {"in", distance_text(w->date - w->now, in)},
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (slice_eq_str(name, all[i].name) && all[i].text != NULL) {
			buf_add_str(out, all[i].text);
			return;
		}
	}
	buf_add_str(out, "?");
}

char *words_fill(struct arena *mem, const char *text, const struct words *w)
{
	struct buf out;
	struct slice rest = slice_str(text);
	buf_init(&out, TEXT_MAX);
	while (rest.n > 0) {
		struct slice name;
		size_t brace = slice_find(rest, '{');
		buf_add_slice(&out, slice_first(rest, brace));
		rest = slice_from(rest, brace);
		if (rest.n == 0)
			break;
		name = slice_cut(slice_from(rest, 1), '}', &rest);
		add_word(&out, name, w);
	}
	char *copy = buf_ok(&out) ? arena_str(mem, buf_slice(&out)) : NULL;
	buf_free(&out);
	return copy;
}

char *words_record(struct arena *mem, const struct tlsa *rr)
{
	char hex[2 * RECORD_OCTETS + 1];
	if (rr->short_rdata)
		return arena_strdup(mem, "of fewer than three octets");
	hex_encode(slice_first(rr->data, RECORD_OCTETS), hex);
	return arena_printf(mem, "%u %u %u %s%s", rr->usage, rr->selector, rr->mtype, hex,
			    rr->data.n > RECORD_OCTETS ? "..." : "");
}

char *selfcheck_record_line(struct arena *mem, const char *owner, const struct tls_cert *leaf)
{
	return arena_printf(mem, "%s. IN TLSA 3 1 1 %s", owner, leaf->spki_sha256);
}

/* --- The list --- */

void list_init(struct list *l, struct arena *mem, const char *about, uint16_t port)
{
	*l = (struct list){.mem = mem, .about = about, .port = port};
	l->finding = arena_array(mem, FINDINGS_MAX, sizeof(*l->finding));
	l->room = FINDINGS_MAX;
	l->failed = l->finding == NULL;
}

void list_add(struct list *l, enum selfcheck_kind k, bool mild, struct place at,
	      const struct words *w)
{
	if (l->failed || l->n == l->room)
		return;
	struct selfcheck_finding *f = &l->finding[l->n++];
	*f = (struct selfcheck_finding){
	    .kind = k,
	    .severity = selfcheck_kind_severity(k, mild),
	    .about = l->about,
	    .port = l->port,
	    .chain = at.chain,
	    .record = at.record,
	    .text = words_fill(l->mem, kind_sentence(k), w),
	    .cure = words_fill(l->mem, kind_cure(k), w),
	};
	f->paste = words_fill(l->mem, kind_paste(k), w);
	f->key =
	    words_fill(l->mem, "{chain} {file} {record} {asked} {type} {other} {domain} {host}", w);
	/* A line that lacks a part of it is no line to paste. */
	if (f->paste != NULL && strchr(f->paste, '?') != NULL)
		f->paste = "";
	l->failed = f->text == NULL || f->cure == NULL || f->paste == NULL || f->key == NULL;
}

void list_sort(struct list *l)
{
	for (size_t i = 1; i < l->n; i++) {
		struct selfcheck_finding f = l->finding[i];
		size_t k = i;
		for (; k > 0 && l->finding[k - 1].severity < f.severity; k--)
			l->finding[k] = l->finding[k - 1];
		l->finding[k] = f;
	}
}

void list_add_failure(struct list *l, const struct answer *a, int64_t now)
{
	char scratch[16];
	struct words w = {.asked = a->name,
			  .type = dns_type_name(a->type, scratch),
			  .detail = a->why != NULL ? a->why : "no answer",
			  .host = l->about,
			  .port = l->port,
			  .now = now};
	list_add(l, a->bogus ? SELFCHECK_BOGUS : SELFCHECK_LOOKUP_FAILED, false,
		 (struct place){-1, -1}, &w);
}

void list_add_signature(struct list *l, const struct answer *a, int64_t now, int64_t soon_s)
{
	char scratch[16];
	if (a == NULL || a->status != DNS_SECURE || !a->has_signature)
		return;
	int64_t until = answer_signed_until(a, now);
	if (until - now > soon_s)
		return;
	struct words w = {.asked = a->name,
			  .type = dns_type_name(a->type, scratch),
			  .host = l->about,
			  .port = l->port,
			  .date = until,
			  .now = now};
	list_add(l, SELFCHECK_SIGNATURE_EXPIRES_SOON, false, (struct place){-1, -1}, &w);
}
