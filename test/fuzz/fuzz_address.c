/* SPDX-License-Identifier: MIT */
/* address_parse: what is accepted is the input, cut at its "@", within the limits. */
#include "fuzz.h"

#include "wire/address.h"

static void check_accepted(struct slice in, const struct address *a)
{
	FUZZ_CHECK(in.n <= ADDRESS_PATH_MAX);
	FUZZ_CHECK(a->local.n >= 1 && a->local.n <= ADDRESS_LOCAL_MAX);
	FUZZ_CHECK(a->domain.n >= 1);
	FUZZ_CHECK(a->local.p == in.p);
	FUZZ_CHECK(a->domain.p == in.p + a->local.n + 1);
	FUZZ_CHECK(a->local.n + 1 + a->domain.n == in.n);
	FUZZ_CHECK(in.p[a->local.n] == '@');
	FUZZ_CHECK(utf8_is_valid(a->local) && utf8_is_valid(a->domain));
	FUZZ_CHECK(a->literal == (a->ip.family != 0));
	FUZZ_CHECK(a->literal == (a->domain.p[0] == '['));
	FUZZ_CHECK(!a->utf8_local || a->utf8);
	for (size_t i = 0; i < in.n; i++)
		FUZZ_CHECK(in.p[i] >= ' ' && in.p[i] != 0x7f);
	/* nothing in the domain can end a path or a literal early */
	for (size_t i = 0; i + 1 < a->domain.n; i++)
		FUZZ_CHECK(memchr("<>@ ]\"\\", a->domain.p[i], 7) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	struct address a;
	enum address_error e = address_parse(in, &a);

	FUZZ_CHECK(e <= ADDRESS_OK && e >= ADDRESS_NOT_NFC);
	FUZZ_CHECK(fuzz_is_inside(a.local, in) && fuzz_is_inside(a.domain, in));
	if (e == ADDRESS_OK)
		check_accepted(in, &a);
	return 0;
}
