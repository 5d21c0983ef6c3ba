/* SPDX-License-Identifier: MIT */
/* From one line of text to a DNS answer, past the packet parser: tests choose what was found. */
#include "fake.h"

enum { FAKE_RECORDS_MAX = 512, FAKE_DATA_MAX = 4096 };

struct slice fake_word(struct slice *text)
{
	*text = slice_trim(*text);
	return slice_cut(*text, ' ', text);
}

static bool next_is(struct slice *text, const char *word)
{
	struct slice rest = *text;
	if (!slice_eq_str(fake_word(&rest), word))
		return false;
	*text = rest;
	return true;
}

static bool add_aliases(struct answer *a, struct slice *text)
{
	struct slice list = fake_word(text);
	a->aliases = arena_array(&a->mem, ANSWER_ALIASES_MAX, sizeof(*a->aliases));
	while (a->aliases != NULL && list.n > 0 && a->naliases < ANSWER_ALIASES_MAX) {
		a->canonical = arena_str(&a->mem, slice_cut(list, ',', &list));
		a->aliases[a->naliases++] = a->canonical;
	}
	return a->naliases > 0;
}

/* "aa*32", plain hex, or "-" */
static bool fill_data(struct answer *a, struct slice word, struct slice *out)
{
	uint8_t data[FAKE_DATA_MAX];
	size_t n = 0;
	uint64_t times = 1;
	struct slice count;
	struct slice hex = slice_cut(word, '*', &count);
	if (slice_eq_str(word, "-"))
		return true;
	if (!hex_decode(hex, data, sizeof(data), &n) || n == 0)
		return false;
	if (count.n > 0 && !slice_to_u64(count, FAKE_DATA_MAX / n, &times))
		return false;
	for (size_t i = n; i < n * times; i++)
		data[i] = data[i - n];
	*out = arena_bytes(&a->mem, slice_make(data, n * times));
	return out->n == n * times;
}

static bool fill_tlsa(struct answer *a, struct slice text, struct tlsa *out)
{
	uint64_t number[3];
	if (next_is(&text, "short")) {
		out->short_rdata = true;
		return slice_trim(text).n == 0;
	}
	for (size_t i = 0; i < 3; i++) {
		if (!slice_to_u64(fake_word(&text), UINT8_MAX, &number[i]))
			return false;
	}
	out->usage = (uint8_t)number[0];
	out->selector = (uint8_t)number[1];
	out->mtype = (uint8_t)number[2];
	if (!fill_data(a, fake_word(&text), &out->data))
		return false;
	if (next_is(&text, "parses"))
		out->full = TLSA_FULL_PARSES;
	else if (next_is(&text, "broken"))
		out->full = TLSA_FULL_BROKEN;
	return slice_trim(text).n == 0;
}

static bool fill_mx(struct answer *a, struct slice text, struct dns_rr *rr)
{
	uint64_t preference;
	if (!slice_to_u64(fake_word(&text), UINT16_MAX, &preference))
		return false;
	rr->u.mx.preference = (uint16_t)preference;
	rr->u.mx.exchange = arena_str(&a->mem, slice_trim(text));
	return rr->u.mx.exchange != NULL && rr->u.mx.exchange[0] != '\0';
}

static bool fill_record(struct answer *a, struct slice text, struct dns_rr *rr)
{
	rr->type = a->type;
	rr->ttl = 3600;
	switch (a->type) {
	case DNS_A:
		return ipaddr_from_text(text, &rr->u.addr) && rr->u.addr.family == 4;
	case DNS_AAAA:
		return ipaddr_from_text(text, &rr->u.addr) && rr->u.addr.family == 6;
	case DNS_MX:
		return fill_mx(a, text, rr);
	case DNS_CNAME:
		rr->u.name = arena_str(&a->mem, text);
		return rr->u.name != NULL;
	case DNS_TLSA:
		return fill_tlsa(a, text, &rr->u.tlsa);
	default: /* a number, not our enum */
		return false;
	}
}

static bool add_records(struct answer *a, struct slice text)
{
	a->rr = arena_array(&a->mem, FAKE_RECORDS_MAX, sizeof(*a->rr));
	while (a->rr != NULL && text.n > 0 && a->nrr < FAKE_RECORDS_MAX) {
		struct slice record = slice_trim(slice_cut(text, ',', &text));
		if (!fill_record(a, record, &a->rr[a->nrr]))
			return false;
		a->nrr++;
	}
	return a->nrr > 0 && text.n == 0;
}

static bool read_absence(struct answer *a, bool nxdomain, struct slice *text)
{
	a->status = DNS_ABSENT;
	a->nxdomain = nxdomain;
	a->rcode = nxdomain ? DNS_NXDOMAIN : DNS_NOERROR;
	a->absence_secure = next_is(text, "secure");
	return a->absence_secure || next_is(text, "insecure");
}

static bool read_answer(struct answer *a, struct slice text)
{
	bool records = false;
	if (next_is(&text, "secure")) {
		a->status = DNS_SECURE;
		records = true;
	} else if (next_is(&text, "insecure")) {
		a->status = DNS_INSECURE;
		records = true;
	} else if (next_is(&text, "absent")) {
		if (!read_absence(a, false, &text))
			return false;
	} else if (next_is(&text, "nxdomain")) {
		if (!read_absence(a, true, &text))
			return false;
	} else {
		return false;
	}
	if (next_is(&text, "via") && !add_aliases(a, &text))
		return false;
	text = slice_trim(text);
	return records ? add_records(a, text) : text.n == 0;
}

struct answer *fake_answer(const char *name, uint16_t type, const char *text)
{
	struct slice rest = slice_str(text);
	if (next_is(&rest, "failed")) {
		char why[256];
		rest = slice_first(slice_trim(rest), sizeof(why) - 1);
		if (rest.n > 0)
			memcpy(why, rest.p, rest.n);
		why[rest.n] = '\0';
		return answer_failed(name, type, DNS_SERVFAIL, why);
	}
	struct answer *a = answer_new(name, type);
	if (a != NULL && !read_answer(a, rest))
		answer_unref(&a);
	return a;
}
