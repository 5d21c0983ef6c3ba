/* SPDX-License-Identifier: MIT */
/* The RRsets of the evidence as the library's records. Knows octets; refuses to know what they
 * prove. */
#include "dnssec/room.h"

#include <stdarg.h>
#include <stdlib.h>

bool refuse(struct prover *p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(p->why, DNSSEC_WHY_MAX, fmt, ap);
	va_end(ap);
	return false;
}

const char *set_text(const struct rrset *s, char out[static SET_TEXT_MAX])
{
	char name[DNAME_TEXT_MAX], scratch[16];
	dname_to_text(&s->owner, name);
	snprintf(out, SET_TEXT_MAX, "%s %s", name, dns_type_name(s->type, scratch));
	return out;
}

ldns_rdf *rdf_of(const struct dname *name)
{
	return ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, name->len, name->wire);
}

ldns_rr *record_of(struct slice octets)
{
	ldns_rr *rr = NULL;
	size_t pos = 0;
	if (ldns_wire2rr(&rr, octets.p, octets.n, &pos, LDNS_SECTION_ANSWER) != LDNS_STATUS_OK)
		return NULL;
	if (pos == octets.n)
		return rr;
	ldns_rr_free(rr);
	return NULL;
}

static bool read_records(struct member *m)
{
	size_t pos = 0;
	m->rr = ldns_rr_list_new();
	for (size_t i = 0; m->rr != NULL && i < m->set.nrr; i++) {
		ldns_rr *rr = NULL;
		if (ldns_wire2rr(&rr, m->set.octets.p, m->set.octets.n, &pos,
				 LDNS_SECTION_ANSWER) != LDNS_STATUS_OK)
			return false;
		if (!ldns_rr_list_push_rr(m->rr, rr)) {
			ldns_rr_free(rr);
			return false;
		}
	}
	return m->rr != NULL;
}

bool members_read(struct prover *p)
{
	const struct evidence *e = p->evidence;
	char text[SET_TEXT_MAX];
	p->member = calloc(e->nrrset + 1, sizeof(*p->member));
	if (p->member == NULL)
		return refuse(p, "out of memory");
	for (; p->n < e->nrrset; p->n++) {
		struct member *m = &p->member[p->n];
		if (!rrset_parse(e->rrset[p->n], &m->set))
			return refuse(p,
				      "RRset number %zu is not written as an RRset with its "
				      "signatures must be",
				      p->n + 1);
		if (member_find(p, &m->set.owner, m->set.type) != NULL)
			return refuse(p, "%s is there twice", set_text(&m->set, text));
		if (!read_records(m)) {
			p->n++; /* what was read is to be freed */
			return refuse(p, "%s cannot be read", set_text(&m->set, text));
		}
	}
	return true;
}

void members_free(struct prover *p)
{
	for (size_t i = 0; i < p->n; i++) {
		ldns_rr_list_deep_free(p->member[i].rr);
		ldns_rr_list_free(p->member[i].keys);
	}
	free(p->member);
	p->member = NULL;
	p->n = 0;
}

struct member *member_find(const struct prover *p, const struct dname *name, uint16_t type)
{
	for (size_t i = 0; i < p->n; i++) {
		struct member *m = &p->member[i];
		if (m->set.type == type && dname_eq(&m->set.owner, name))
			return m;
	}
	return NULL;
}
