/* SPDX-License-Identifier: MIT */
/* Reference names (T4; RFC 7672 s3.2.2) and the TLSA owner name (D8; RFC 7672 s2.2.3). */
#include "table.h"

#include "dane/hosts.h"

struct reference_row {
	const char *rule;
	enum reference_names option;
	bool mx_secure;
	const char *base, *next_hop, *expanded;
	const char *names[REFERENCE_NAMES_MAX];
};

static const struct reference_row references[] = {
    {"s3.2.2: the TLSA base domain is the primary reference identifier, then the next hop",
     REFERENCE_ALL,
     true,
     "mx1.example.org",
     "example.org",
     NULL,
     {"mx1.example.org", "example.org"}},
    {"s3.2.2: the CNAME-expanded next hop is the third",
     REFERENCE_ALL,
     true,
     "mx10.example.com",
     "exchange.example.org",
     "example.com",
     {"mx10.example.com", "exchange.example.org", "example.com"}},
    {"s3.2.2: ... if different from the original next hop",
     REFERENCE_ALL,
     true,
     "mx1.example.org",
     "example.org",
     "example.org",
     {"mx1.example.org", "example.org"}},
    {"s3.2.2: despite insecure MX: the MX host name is the only one",
     REFERENCE_ALL,
     false,
     "mx1.example.org",
     "example.org",
     "example.net",
     {"mx1.example.org"}},
    {"T4 [N]: reference-names = base",
     REFERENCE_BASE,
     true,
     "mx1.example.org",
     "example.org",
     "example.net",
     {"mx1.example.org"}},
    {"s3.2.2: no MX, base is the next hop: one name",
     REFERENCE_ALL,
     true,
     "example.org",
     "example.org",
     NULL,
     {"example.org"}},
    {"s3.2.2: no MX, base is the expanded next hop: the original is the second",
     REFERENCE_ALL,
     true,
     "host.example.net",
     "example.org",
     NULL,
     {"host.example.net", "example.org"}},
    {"s3.2.2: base equal to the expanded next hop",
     REFERENCE_ALL,
     true,
     "example.com",
     "exchange.example.org",
     "example.com",
     {"example.com", "exchange.example.org"}},
};

static void reference_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(references); i++) {
		const struct reference_row *r = &references[i];
		struct dane_policy p = {.reference_names = r->option};
		struct tls_terms t = {.nreference_names = 3}; /* what stood there is forgotten */
		reference_names_set(&p, r->mx_secure, r->base, r->next_hop, r->expanded, &t);
		size_t n = 0;
		while (n < REFERENCE_NAMES_MAX && r->names[n] != NULL)
			n++;
		row_check(t.nreference_names == n, r->rule);
		for (size_t k = 0; k < n; k++)
			row_check(strcmp(t.reference_names[k], r->names[k]) == 0, r->rule);
	}
}

#define LABEL_63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

struct owner_row {
	const char *rule;
	uint16_t port;
	const char *base;
	const char *owner; /* NULL: no such name */
};

static const struct owner_row owners[] = {
    {"s2.2.3: port 25", 25, "mx.example.com", "_25._tcp.mx.example.com"},
    {"D8: the real destination port", 10025, "mx.example.com", "_10025._tcp.mx.example.com"},
    {"D8: the largest port", 65535, "a", "_65535._tcp.a"},
    {"D10: an A-label", 25, "xn--mx-wka.example", "_25._tcp.xn--mx-wka.example"},
    {"RFC 1035 s2.3.4: a name that is full leaves no room for the labels", 25,
     LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63, NULL},
    {"RFC 1035 s2.3.4: too long with the labels", 25,
     LABEL_63 "." LABEL_63 "." LABEL_63 ".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     NULL},
    {"RFC 1035 s2.3.4: just short enough", 25,
     LABEL_63 "." LABEL_63 "." LABEL_63 ".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "_25._tcp." LABEL_63 "." LABEL_63 "." LABEL_63
     ".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
    {"RFC 1035 s2.3.1: an empty label is no name", 25, "mx..example.com", NULL},
    {"RFC 1035 s5.1: the root is no mail host", 25, ".", NULL},
};

static void owner_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(owners); i++) {
		const struct owner_row *r = &owners[i];
		char out[300] = "";
		bool ok = tlsa_owner_name(r->port, r->base, out, sizeof(out));
		row_check(ok == (r->owner != NULL), r->rule);
		row_check(!ok || strcmp(out, r->owner) == 0, r->rule);
	}
	char small[23];
	assert_false(tlsa_owner_name(25, "mx.example.com", small, sizeof(small)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reference_rows),
	    cmocka_unit_test(owner_rows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
