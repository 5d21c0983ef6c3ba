/* SPDX-License-Identifier: MIT */
/* answer_parse: a fact that does not contradict itself, and a cut packet is a failure. */
#include "fuzz.h"

#include "base/buf.h"
#include "wire/answer.h"
#include "wire/dname.h"

static void check_name(const char *name)
{
	struct dname n;
	char again[DNAME_TEXT_MAX];

	FUZZ_CHECK(name != NULL);
	FUZZ_CHECK(dname_from_text(slice_str(name), &n) == DNAME_OK);
	(void)dname_to_text(&n, again);
	FUZZ_CHECK(strcmp(name, again) == 0);
}

static void check_record(const struct answer *a, const struct dns_rr *rr)
{
	struct buf text;

	FUZZ_CHECK(rr->type == a->type);
	if (rr->type == DNS_A)
		FUZZ_CHECK(rr->u.addr.family == 4 && rr->rdata.n == 4);
	if (rr->type == DNS_AAAA)
		FUZZ_CHECK(rr->u.addr.family == 6 && rr->rdata.n == 16);
	if (rr->type == DNS_MX)
		check_name(rr->u.mx.exchange);
	if (rr->type == DNS_TLSA)
		FUZZ_CHECK(rr->u.tlsa.short_rdata == (rr->rdata.n < 3));
	if (rr->type == DNS_CNAME)
		check_name(rr->u.name);
	buf_init(&text, 65536 * 5);
	dns_rr_to_text(rr, &text);
	FUZZ_CHECK(buf_ok(&text) && fuzz_is_printable(buf_slice(&text)));
	buf_free(&text);
}

static void check_fact(const struct answer *a, enum answer_security sec)
{
	bool data = a->status == DNS_SECURE || a->status == DNS_INSECURE;

	FUZZ_CHECK(data == (a->nrr > 0));
	FUZZ_CHECK(a->status != DNS_SECURE || sec == ANSWER_SECURE);
	FUZZ_CHECK(!a->absence_secure || (a->status == DNS_ABSENT && sec == ANSWER_SECURE));
	FUZZ_CHECK(!a->nxdomain || (a->status == DNS_ABSENT && a->rcode == DNS_NXDOMAIN));
	FUZZ_CHECK(a->bogus == (sec == ANSWER_BOGUS));
	FUZZ_CHECK((a->why != NULL) == (a->status == DNS_FAILED));
	FUZZ_CHECK(a->why == NULL || fuzz_is_printable(slice_str(a->why)));
	FUZZ_CHECK(a->naliases <= ANSWER_ALIASES_MAX && a->nrr <= ANSWER_RECORDS_MAX);
	for (size_t i = 0; i < a->naliases; i++)
		check_name(a->aliases[i]);
	FUZZ_CHECK(a->canonical == (a->naliases > 0 ? a->aliases[a->naliases - 1] : a->name));
	for (size_t i = 0; i < a->nrr; i++)
		check_record(a, &a->rr[i]);
}

static void check_cut(const char *name, uint16_t type, struct slice packet, size_t n)
{
	struct answer *a = answer_parse(name, type, slice_first(packet, n), ANSWER_SECURE, NULL);

	FUZZ_CHECK(a == NULL || a->status == DNS_FAILED);
	answer_unref(&a);
}

/* Asks what the packet answers, so that most inputs get past the question. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice packet = slice_make(data, size);
	enum answer_security sec = (enum answer_security)(fuzz_take(&packet) % 3);
	char name[DNAME_TEXT_MAX] = "example.org";
	uint16_t type = DNS_A;
	struct dname question;
	size_t pos = 12;

	if (dname_parse(packet, &pos, &question) == DNAME_OK) {
		(void)dname_to_text(&question, name);
		if (packet.n - pos >= 2)
			type = (uint16_t)(packet.p[pos] << 8 | packet.p[pos + 1]);
	}
	struct answer *a = answer_parse(name, type, packet, sec, NULL);
	if (a == NULL)
		return 0;
	check_fact(a, sec);
	if (a->status != DNS_FAILED) {
		for (size_t n = packet.n > 64 ? packet.n - 64 : 0; n < packet.n; n++)
			check_cut(name, type, packet, n);
	}
	answer_unref(&a);
	return 0;
}
