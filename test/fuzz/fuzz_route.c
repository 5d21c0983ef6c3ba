/* SPDX-License-Identifier: MIT */
/* route_parse: what is accepted is one of the known forms, and everything points into the input. */
#include "fuzz.h"

#include "wire/route.h"

static void check_accepted(struct slice in, const struct route *r)
{
	FUZZ_CHECK((r->path.n > 0) != (r->host.n > 0));
	FUZZ_CHECK(fuzz_is_inside(r->path, in) && fuzz_is_inside(r->host, in));
	FUZZ_CHECK(r->path.n <= ROUTE_PATH_MAX);
	FUZZ_CHECK(r->path.n == 0 || (r->path.p[0] == '/' && r->itself));
	for (size_t i = 0; i < r->path.n; i++)
		FUZZ_CHECK(r->path.p[i] >= ' ' && r->path.p[i] != 0x7f);
	FUZZ_CHECK(r->ip.family == 0 || r->itself);
	FUZZ_CHECK(!r->lmtp || r->itself);                                        /* no MX hosts */
	FUZZ_CHECK(!r->lmtp || r->path.n > 0 || (r->port != 0 && r->port != 25)); /* RFC 2033 s5 */
	FUZZ_CHECK(!route_is_submission(r) || (r->itself && r->ip.family == 0));  /* S1: a name */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	struct route r;
	size_t at;
	enum route_error e = route_parse(in, &r, &at);

	FUZZ_CHECK(e <= ROUTE_OK && e >= ROUTE_SUBMISSION_ADDRESS);
	FUZZ_CHECK(at <= in.n);
	FUZZ_CHECK((e == ROUTE_OK) == (route_strerror(e)[0] == '\0'));
	if (e == ROUTE_OK) {
		FUZZ_CHECK(at == in.n);
		check_accepted(in, &r);
	}
	return 0;
}
