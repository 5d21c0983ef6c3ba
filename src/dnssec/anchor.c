/* SPDX-License-Identifier: MIT */
/* Trust anchors from files, as the resolver reads them. */
#include "dnssec/room.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FLAG_REVOKE = 0x0080 }; /* RFC 5011 s7 */

static bool fail(char *error, size_t room, const char *file, int line, const char *what)
{
	if (line > 0)
		snprintf(error, room, "trust anchor file %.200s, line %d: %s", file, line, what);
	else
		snprintf(error, room, "trust anchor file %.200s: %s", file, what);
	return false;
}

static bool is_anchor(const ldns_rr *rr)
{
	if (ldns_rr_get_class(rr) != LDNS_RR_CLASS_IN)
		return false;
	if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_DS)
		return true;
	return ldns_rr_get_type(rr) == LDNS_RR_TYPE_DNSKEY &&
	       (ldns_rdf2native_int16(ldns_rr_dnskey_flags(rr)) & FLAG_REVOKE) == 0;
}

/* Empty lines, comments and directives. */
static bool is_no_record(ldns_status s)
{
	return s == LDNS_STATUS_SYNTAX_EMPTY || s == LDNS_STATUS_SYNTAX_TTL ||
	       s == LDNS_STATUS_SYNTAX_ORIGIN;
}

static bool read_lines(struct dnssec_anchors *a, FILE *f, const char *file, char *error,
		       size_t room)
{
	uint32_t ttl = 0;
	ldns_rdf *origin = NULL, *previous = NULL;
	int line = 0;
	bool ok = true;
	size_t before = ldns_rr_list_rr_count(a->rr);
	while (ok && !feof(f)) {
		ldns_rr *rr = NULL;
		ldns_status s = ldns_rr_new_frm_fp_l(&rr, f, &ttl, &origin, &previous, &line);
		if (s != LDNS_STATUS_OK) {
			ok = is_no_record(s) ||
			     fail(error, room, file, line, ldns_get_errorstr_by_id(s));
			continue;
		}
		if (!is_anchor(rr) || !ldns_rr_list_push_rr(a->rr, rr))
			ldns_rr_free(rr);
	}
	ldns_rdf_deep_free(origin);
	ldns_rdf_deep_free(previous);
	if (ok && ldns_rr_list_rr_count(a->rr) == before)
		ok = fail(error, room, file, 0, "has no DS or DNSKEY record");
	return ok;
}

static bool read_file(struct dnssec_anchors *a, const char *file, char *error, size_t room)
{
	FILE *f = fopen(file, "re");
	if (f == NULL)
		return fail(error, room, file, 0, strerror(errno));
	bool ok = read_lines(a, f, file, error, room);
	fclose(f);
	return ok;
}

struct dnssec_anchors *dnssec_anchors_read(const char *const *files, char *error, size_t room)
{
	struct dnssec_anchors *a = calloc(1, sizeof(*a));
	if (a != NULL)
		a->rr = ldns_rr_list_new();
	bool ok = a != NULL && a->rr != NULL;
	if (!ok)
		snprintf(error, room, "out of memory");
	else if (files == NULL || files[0] == NULL)
		ok = false, snprintf(error, room, "no DNSSEC trust anchor is given");
	for (; ok && *files != NULL; files++)
		ok = read_file(a, *files, error, room);
	if (!ok)
		dnssec_anchors_free(&a);
	return a;
}

void dnssec_anchors_free(struct dnssec_anchors **a)
{
	if (*a == NULL)
		return;
	ldns_rr_list_deep_free((*a)->rr);
	free(*a);
	*a = NULL;
}

bool dnssec_anchor_text(const struct dnssec_anchors *a, size_t i, char *out, size_t room)
{
	if (i >= ldns_rr_list_rr_count(a->rr))
		return false;
	const ldns_rr *rr = ldns_rr_list_rr(a->rr, i);
	ldns_rr *ds = ldns_rr_get_type(rr) == LDNS_RR_TYPE_DS ? ldns_rr_clone(rr)
							      : ldns_key_rr2ds(rr, LDNS_SHA256);
	char *owner = ds != NULL ? ldns_rdf2str(ldns_rr_owner(ds)) : NULL;
	char *digest = ds != NULL ? ldns_rdf2str(ldns_rr_rdf(ds, 3)) : NULL;
	bool ok = owner != NULL && digest != NULL;
	if (ok) {
		int n = snprintf(out, room, "%s DS %u %u %u %s", owner,
				 ldns_rdf2native_int16(ldns_rr_rdf(ds, 0)),
				 ldns_rdf2native_int8(ldns_rr_rdf(ds, 1)),
				 ldns_rdf2native_int8(ldns_rr_rdf(ds, 2)), digest);
		ok = n > 0 && (size_t)n < room;
	}
	free(owner);
	free(digest);
	ldns_rr_free(ds);
	return ok;
}

bool anchors_of(const struct dnssec_anchors *a, const struct dname *zone, ldns_rr_list *out)
{
	ldns_rdf *name = rdf_of(zone);
	bool any = false;
	for (size_t i = 0; name != NULL && i < ldns_rr_list_rr_count(a->rr); i++) {
		ldns_rr *rr = ldns_rr_list_rr(a->rr, i);
		if (ldns_dname_compare(ldns_rr_owner(rr), name) == 0)
			any = ldns_rr_list_push_rr(out, rr) || any;
	}
	ldns_rdf_deep_free(name);
	return any;
}
