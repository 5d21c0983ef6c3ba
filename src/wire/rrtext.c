/* SPDX-License-Identifier: MIT */
/*
 * DNS records and the numbers around them as text for people, and types back from text.
 *
 * Knows presentation forms. Refuses to know packets.
 */
#include "wire/answer.h"

#include "base/buf.h"

enum { SCRATCH = 16 };

struct number_name {
	uint16_t number;
	const char *name;
};

static const struct number_name types[] = {
    {DNS_A, "A"},         {DNS_NS, "NS"},     {DNS_CNAME, "CNAME"}, {DNS_SOA, "SOA"},
    {DNS_PTR, "PTR"},     {DNS_MX, "MX"},     {DNS_TXT, "TXT"},     {DNS_AAAA, "AAAA"},
    {DNS_DNAME, "DNAME"}, {DNS_DS, "DS"},     {DNS_RRSIG, "RRSIG"}, {DNS_DNSKEY, "DNSKEY"},
    {DNS_TLSA, "TLSA"},   {DNS_NSEC, "NSEC"}, {DNS_NSEC3, "NSEC3"},
};

static const struct number_name rcodes[] = {
    {DNS_NOERROR, "NOERROR"},
    {1, "FORMERR"},
    {DNS_SERVFAIL, "SERVFAIL"},
    {DNS_NXDOMAIN, "NXDOMAIN"},
    {DNS_NOTIMP, "NOTIMP"},
    {DNS_REFUSED, "REFUSED"},
    {16, "BADVERS"},
};

enum {
	NTYPES = sizeof(types) / sizeof(types[0]),
	NRCODES = sizeof(rcodes) / sizeof(rcodes[0]),
};

const char *dns_status_name(enum dns_status s)
{
	switch (s) {
	case DNS_SECURE:
		return "secure";
	case DNS_INSECURE:
		return "insecure";
	case DNS_ABSENT:
		return "absent";
	case DNS_FAILED:
		return "failed";
	}
	return "failed";
}

const char *dns_type_name(uint16_t type, char scratch[SCRATCH])
{
	for (size_t i = 0; i < NTYPES; i++) {
		if (types[i].number == type)
			return types[i].name;
	}
	(void)snprintf(scratch, SCRATCH, "TYPE%u", (unsigned)type); /* RFC 3597 s5 */
	return scratch;
}

bool dns_type_from_text(struct slice text, uint16_t *out)
{
	uint64_t number;

	for (size_t i = 0; i < NTYPES; i++) {
		if (slice_eq_nocase_str(text, types[i].name)) {
			*out = types[i].number;
			return true;
		}
	}
	if (!slice_starts_nocase(text, "TYPE") ||
	    !slice_to_u64(slice_from(text, 4), UINT16_MAX, &number))
		return false;
	*out = (uint16_t)number;
	return true;
}

const char *dns_rcode_name(uint16_t rcode, char scratch[SCRATCH])
{
	for (size_t i = 0; i < NRCODES; i++) {
		if (rcodes[i].number == rcode)
			return rcodes[i].name;
	}
	(void)snprintf(scratch, SCRATCH, "RCODE%u", (unsigned)rcode);
	return scratch;
}

/* \# length hex      ; RFC 3597 s5 */
static void generic_to_text(const struct dns_rr *rr, struct buf *out)
{
	buf_addf(out, "\\# %zu", rr->rdata.n);
	if (rr->rdata.n > 0)
		buf_add_str(out, " ");
	buf_add_hex(out, rr->rdata);
}

static void address_to_text(const struct dns_rr *rr, struct buf *out)
{
	char text[IPADDR_TEXT_MAX];

	ipaddr_to_text(&rr->u.addr, text);
	buf_add_str(out, text);
}

static void tlsa_to_text(const struct dns_rr *rr, struct buf *out)
{
	const struct tlsa *t = &rr->u.tlsa;

	if (t->short_rdata) {
		generic_to_text(rr, out);
		return;
	}
	buf_addf(out, "%u %u %u", (unsigned)t->usage, (unsigned)t->selector, (unsigned)t->mtype);
	if (t->data.n > 0)
		buf_add_str(out, " ");
	buf_add_hex(out, t->data);
}

static void quoted_to_text(struct slice s, struct buf *out)
{
	buf_add_u8(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < ' ' || s.p[i] > '~') {
			buf_addf(out, "\\%03u", (unsigned)s.p[i]);
			continue;
		}
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_add_u8(out, '\\');
		buf_add_u8(out, s.p[i]);
	}
	buf_add_u8(out, '"');
}

static bool is_txt(struct slice rdata)
{
	size_t at = 0;

	while (at < rdata.n)
		at += 1 + (size_t)rdata.p[at];
	return rdata.n > 0 && at == rdata.n;
}

/* 1*( %x00-FF *255OCTET ) as quoted strings      ; RFC 1035 s3.3.14, s5.1 */
static void txt_to_text(const struct dns_rr *rr, struct buf *out)
{
	struct slice left = rr->rdata;

	if (!is_txt(left)) {
		generic_to_text(rr, out);
		return;
	}
	while (left.n > 0) {
		quoted_to_text(slice_first(slice_from(left, 1), left.p[0]), out);
		left = slice_from(left, 1 + (size_t)left.p[0]);
		if (left.n > 0)
			buf_add_str(out, " ");
	}
}

void dns_rr_to_text(const struct dns_rr *rr, struct buf *out)
{
	switch (rr->type) {
	case DNS_A:
	case DNS_AAAA:
		address_to_text(rr, out);
		break;
	case DNS_MX:
		buf_addf(out, "%u %s", (unsigned)rr->u.mx.preference, rr->u.mx.exchange);
		break;
	case DNS_CNAME:
	case DNS_DNAME:
	case DNS_NS:
	case DNS_PTR:
		buf_add_str(out, rr->u.name);
		break;
	case DNS_TLSA:
		tlsa_to_text(rr, out);
		break;
	case DNS_TXT:
		txt_to_text(rr, out);
		break;
	default: /* a number from the wire, not our enum */
		generic_to_text(rr, out);
		break;
	}
}
