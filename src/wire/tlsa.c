/* SPDX-License-Identifier: MIT */
/*
 * TLSA records between RDATA, text and value.
 *
 * Knows the fields and their mnemonics. Refuses to know which combinations are usable and whether
 * the data is a certificate.
 */
#include "wire/tlsa.h"

/* RDATA = usage selector matching-type *OCTET      ; RFC 6698 s2.1 */
void tlsa_parse(struct slice rdata, struct tlsa *out)
{
	*out = (struct tlsa){.full = TLSA_FULL_UNKNOWN};
	if (rdata.n < 3) {
		out->short_rdata = true;
		return;
	}
	out->usage = rdata.p[0];
	out->selector = rdata.p[1];
	out->mtype = rdata.p[2];
	out->data = slice_from(rdata, 3);
}

struct mnemonic {
	const char *name;
	uint8_t value;
};

enum { MNEMONICS_MAX = 5 };

/* RFC 7218 s2 */
static const struct mnemonic usages[MNEMONICS_MAX] = {
    {"PKIX-TA", TLSA_PKIX_TA}, {"PKIX-EE", TLSA_PKIX_EE}, {"DANE-TA", TLSA_DANE_TA},
    {"DANE-EE", TLSA_DANE_EE}, {"PrivCert", 255},
};
static const struct mnemonic selectors[MNEMONICS_MAX] = {
    {"Cert", TLSA_CERT},
    {"SPKI", TLSA_SPKI},
    {"PrivSel", 255},
};
static const struct mnemonic mtypes[MNEMONICS_MAX] = {
    {"Full", TLSA_FULL},
    {"SHA2-256", TLSA_SHA256},
    {"SHA2-512", TLSA_SHA512},
    {"PrivMatch", 255},
};

static bool number_from_text(struct slice text, const struct mnemonic known[static MNEMONICS_MAX],
			     uint8_t *out)
{
	uint64_t number;

	if (slice_to_u64(text, UINT8_MAX, &number)) {
		*out = (uint8_t)number;
		return true;
	}
	for (size_t i = 0; i < MNEMONICS_MAX && known[i].name != NULL; i++) {
		if (slice_eq_nocase_str(text, known[i].name)) {
			*out = known[i].value;
			return true;
		}
	}
	return false;
}

static struct slice next_field(struct slice *text)
{
	size_t n = 0;

	*text = slice_trim(*text);
	while (n < text->n && text->p[n] != ' ' && text->p[n] != '\t')
		n++;
	struct slice field = slice_first(*text, n);
	*text = slice_from(*text, n);
	return field;
}

static enum tlsa_text_error hex_fields(struct slice text, uint8_t *store, size_t room, size_t *n)
{
	uint8_t pair[2];
	size_t have = 0;
	size_t one;

	*n = 0;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == ' ' || text.p[i] == '\t')
			continue;
		pair[have++] = text.p[i];
		if (have < 2)
			continue;
		if (*n == room)
			return TLSA_TEXT_ROOM;
		if (!hex_decode(slice_make(pair, 2), store + *n, 1, &one))
			return TLSA_TEXT_HEX;
		(*n)++;
		have = 0;
	}
	return have == 0 ? TLSA_TEXT_OK : TLSA_TEXT_HEX;
}

/* usage 1*WSP selector 1*WSP matching-type 1*WSP 1*( 2HEXDIG *WSP )      ; RFC 6698 s2.2 */
enum tlsa_text_error tlsa_from_text(struct slice text, uint8_t *store, size_t room,
				    struct tlsa *out)
{
	struct slice usage = next_field(&text);
	struct slice selector = next_field(&text);
	struct slice mtype = next_field(&text);
	size_t n;

	*out = (struct tlsa){.full = TLSA_FULL_UNKNOWN};
	text = slice_trim(text);
	if (text.n == 0)
		return TLSA_TEXT_FIELDS;
	if (!number_from_text(usage, usages, &out->usage) ||
	    !number_from_text(selector, selectors, &out->selector) ||
	    !number_from_text(mtype, mtypes, &out->mtype))
		return TLSA_TEXT_NUMBER;
	enum tlsa_text_error e = hex_fields(text, store, room, &n);
	if (e == TLSA_TEXT_OK)
		out->data = slice_make(store, n);
	return e;
}

const char *tlsa_text_strerror(enum tlsa_text_error e)
{
	switch (e) {
	case TLSA_TEXT_OK:
		return "no error";
	case TLSA_TEXT_FIELDS:
		return "a TLSA record has four fields: usage, selector, matching type, data";
	case TLSA_TEXT_NUMBER:
		return "usage, selector or matching type is not 0 to 255 or a known name";
	case TLSA_TEXT_HEX:
		return "the data is not a whole number of hexadecimal octets";
	case TLSA_TEXT_ROOM:
		return "the data is too long";
	}
	return "unknown error";
}

int tlsa_cmp(const struct tlsa *a, const struct tlsa *b)
{
	if (a->usage != b->usage)
		return a->usage < b->usage ? -1 : 1;
	if (a->selector != b->selector)
		return a->selector < b->selector ? -1 : 1;
	if (a->mtype != b->mtype)
		return a->mtype < b->mtype ? -1 : 1;
	int order = slice_cmp(a->data, b->data);
	if (order != 0)
		return order;
	/* a record too short to have numbers is not the record "0 0 0" */
	return (int)a->short_rdata - (int)b->short_rdata;
}
