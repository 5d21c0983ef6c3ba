/* SPDX-License-Identifier: MIT */
/*
 * Evidence as one JSON document (docs/evidence.md). Knows the form; refuses to know whether it
 * proves anything. The reader takes nothing but what the writer makes, blanks apart: each key once,
 * no other key, one spelling of each value.
 */
#include "engine/evidence.h"

#include "dane/hosts.h"
#include "json/json.h"
#include "wire/base64.h"
#include "wire/rrset.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { VERSION = 1, KEYS = 12, TIME_TEXT = 32, OWNER_MAX = 300, ID_TEXT = 2 * EVIDENCE_ID + 1 };
static const char format[] = "danelaw-evidence";

static void time_text(int64_t t, char out[static TIME_TEXT])
{
	time_t seconds = (time_t)t;
	struct tm tm;
	if (gmtime_r(&seconds, &tm) == NULL ||
	    strftime(out, TIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		out[0] = '\0';
}

/* --- writing --- */

static void add_rrset(struct json *list, struct slice octets)
{
	char *text = malloc(BASE64_LEN(octets.n) + 1);
	if (text != NULL)
		base64_encode(octets, text);
	json_append_str(list, text); /* out of memory: null, which no reader takes */
	free(text);
}

bool evidence_write(const struct evidence *e, const char *const *anchor, FILE *f)
{
	char at[TIME_TEXT], tlsa[OWNER_MAX] = "", id[ID_TEXT];
	struct json *j = json_object();
	time_text(e->time, at);
	hex_encode(slice_make(e->id, sizeof(e->id)), id);
	(void)tlsa_owner_name(e->port, e->base, tlsa, sizeof(tlsa));
	json_set_str(j, "format", format);
	json_set_int(j, "version", VERSION);
	json_set_str(j, "time", at);
	json_set_str(j, "destination", e->destination);
	json_set_str(j, "mx", evidence_mx_name(e->mx));
	json_set_str(j, "host", e->host);
	json_set_int(j, "port", e->port);
	json_set_str(j, "base", e->base);
	json_set_str(j, "tlsa", tlsa);
	json_set_str(j, "id", id);
	struct json *anchors = json_set(j, "anchors", json_array());
	for (; anchor != NULL && *anchor != NULL; anchor++)
		json_append_str(anchors, *anchor);
	struct json *rrsets = json_set(j, "rrsets", json_array());
	for (size_t i = 0; i < e->nrrset; i++)
		add_rrset(rrsets, e->rrset[i]);
	bool ok = json_write_line(j, f);
	json_free(&j);
	return ok;
}

/* --- reading --- */

struct reader {
	const struct json *j;
	struct arena *mem;
	struct evidence *e;
	char *error;
	size_t room;
};

static bool refuse(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool refuse(struct reader *r, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(r->error, r->room, fmt, ap);
	va_end(ap);
	return false;
}

static bool is_form(struct reader *r)
{
	static const char *const keys[KEYS] = {"format", "version", "time",    "destination",
					       "mx",     "host",    "port",    "base",
					       "tlsa",   "id",      "anchors", "rrsets"};
	const char *name = json_get_str(r->j, "format");
	if (name == NULL || strcmp(name, format) != 0)
		return refuse(r, "it is not a %s file", format);
	if (json_get_int(r->j, "version") != VERSION)
		return refuse(r, "its version is not %d", VERSION);
	for (size_t i = 0; i < KEYS; i++) {
		if (!json_has_key(r->j, keys[i]))
			return refuse(r, "\"%s\" is missing", keys[i]);
	}
	return json_count_keys(r->j) == KEYS ||
	       refuse(r, "it has a key that does not belong there");
}

/* A host or domain name as the plan writes it. */
static bool read_name(struct reader *r, const char *key, const char **out)
{
	const char *text = json_get_str(r->j, key);
	struct dname name;
	char normal[DNAME_TEXT_MAX] = "";
	if (text != NULL && dname_from_text(slice_str(text), &name) == DNAME_OK)
		dname_to_text(&name, normal);
	if (text == NULL || strcmp(text, normal) != 0)
		return refuse(r, "\"%s\" is not a domain name in lower case", key);
	*out = arena_strdup(r->mem, text);
	return *out != NULL || refuse(r, "out of memory");
}

static bool read_time(struct reader *r)
{
	const char *text = json_get_str(r->j, "time");
	char again[TIME_TEXT] = "";
	struct tm tm = {0};
	const char *end = text != NULL ? strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm) : NULL;
	if (end != NULL && *end == '\0') {
		r->e->time = (int64_t)timegm(&tm);
		time_text(r->e->time, again);
	}
	return (text != NULL && strcmp(text, again) == 0) ||
	       refuse(r, "\"time\" is not a time like 2026-01-31T12:00:00Z");
}

static bool read_claim(struct reader *r)
{
	struct evidence *e = r->e;
	char tlsa[OWNER_MAX];
	int64_t port = json_get_int(r->j, "port");
	const char *owner = json_get_str(r->j, "tlsa");
	if (!read_time(r) || !read_name(r, "destination", &e->destination) ||
	    !read_name(r, "host", &e->host) || !read_name(r, "base", &e->base))
		return false;
	if (!evidence_mx_from_name(json_get_str(r->j, "mx"), &e->mx))
		return refuse(r, "\"mx\" is not secure, implicit, insecure or none");
	if (port < 1 || port > UINT16_MAX)
		return refuse(r, "\"port\" is not a port");
	e->port = (uint16_t)port;
	return (owner != NULL && tlsa_owner_name(e->port, e->base, tlsa, sizeof(tlsa)) &&
		strcmp(owner, tlsa) == 0) ||
	       refuse(r, "\"tlsa\" is not the name that belongs to \"port\" and \"base\"");
}

static bool read_rrset(struct reader *r, const char *text, struct slice *out)
{
	size_t n = 0, length = text != NULL ? strlen(text) : 0;
	struct rrset parsed;
	uint8_t *octets =
	    length <= BASE64_LEN(RRSET_OCTETS_MAX) ? arena_alloc(r->mem, length / 4 * 3 + 1) : NULL;
	if (octets == NULL || !base64_decode(slice_str(text), octets, length / 4 * 3, &n))
		return false;
	*out = slice_make(octets, n);
	return rrset_parse(*out, &parsed);
}

static bool read_rrsets(struct reader *r)
{
	struct evidence *e = r->e;
	char id[ID_TEXT];
	const char *given = json_get_str(r->j, "id");
	size_t n = json_get_count(r->j, "rrsets");
	if (n == 0 || n > EVIDENCE_RRSETS_MAX)
		return refuse(r, "\"rrsets\" must have 1 to %d texts", EVIDENCE_RRSETS_MAX);
	for (; e->nrrset < n; e->nrrset++) {
		if (!read_rrset(r, json_get_element(r->j, "rrsets", e->nrrset),
				&e->rrset[e->nrrset]))
			return refuse(r,
				      "RRset number %zu is not an RRset with its signatures in "
				      "base64",
				      e->nrrset + 1);
	}
	evidence_set_id(e);
	hex_encode(slice_make(e->id, sizeof(e->id)), id);
	return (given != NULL && strcmp(given, id) == 0) ||
	       refuse(r, "\"id\" is not that of these RRsets: something was changed");
}

static bool read_anchors(struct reader *r)
{
	size_t n = json_get_count(r->j, "anchors");
	for (size_t i = 0; i < n; i++) {
		if (json_get_element(r->j, "anchors", i) == NULL)
			return refuse(r, "\"anchors\" has something that is not a text");
	}
	return n > 0 || json_is_list(r->j, "anchors") || refuse(r, "\"anchors\" is not a list");
}

bool evidence_read(struct slice text, struct arena *mem, struct evidence *out, char *error,
		   size_t room)
{
	*out = (struct evidence){0};
	struct reader r = {.mem = mem, .e = out, .error = error, .room = room};
	if (text.n > EVIDENCE_OCTETS_MAX)
		return refuse(&r, "it is larger than %d octets", EVIDENCE_OCTETS_MAX);
	struct json *j = json_parse((const char *)text.p, text.n);
	r.j = j;
	bool ok = j != NULL ? is_form(&r) && read_claim(&r) && read_anchors(&r) && read_rrsets(&r)
			    : refuse(&r, "it is not JSON");
	json_free(&j);
	return ok;
}
