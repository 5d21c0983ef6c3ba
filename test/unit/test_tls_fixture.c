/* SPDX-License-Identifier: MIT */
/* See test_tls_fixture.h. */
#include "test_tls_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

const struct tls_options plain_options = {.no_resumption = true};

struct tls_client *client_make(const struct tls_client_config *c)
{
	char error[256] = "";
	struct tls_client *t = tls_client_new(c, error, sizeof(error));
	if (t == NULL)
		fail_msg("%s", error);
	return t;
}

int setup(void **state)
{
	static struct fixture f;
	lab_make(&f.lab);
	f.client = client_make(&(struct tls_client_config){0});
	records_init(&f.ee);
	records_add(&f.ee, 3, 1, 1, f.lab.ec);
	records_init(&f.ta);
	records_add(&f.ta, 2, 0, 1, f.lab.ca);
	records_init(&f.wrong);
	records_add(&f.wrong, 3, 1, 1, f.lab.other);
	*state = &f;
	return 0;
}

int teardown(void **state)
{
	struct fixture *f = *state;
	tls_client_free(&f->client);
	records_free(&f->ee);
	records_free(&f->ta);
	records_free(&f->wrong);
	lab_free(&f->lab);
	return 0;
}

struct tls_terms terms_dane(struct records *r)
{
	return (struct tls_terms){.policy = HOST_DANE,
				  .sni = LAB_BASE,
				  .reference_names = {LAB_BASE, LAB_NEXT_HOP},
				  .nreference_names = 2,
				  .tlsa = records_set(r)};
}

struct tls_terms terms_without(enum host_policy policy)
{
	return (struct tls_terms){.policy = policy, .sni = LAB_BASE};
}

struct tls_conn *connect_with(struct tls_client *c, const struct tls_terms *terms,
			      const struct tls_options *o)
{
	char error[256] = "";
	struct tls_conn *t = tls_connect(c, terms, o, error, sizeof(error));
	if (t == NULL)
		fail_msg("tls_connect: %s", error);
	return t;
}

enum tls_state handshake(struct fixture *f, struct pair *p, struct server *s,
			 const struct tls_terms *terms, const struct tls_options *o)
{
	pair_open(p, connect_with(f->client, terms, o), s);
	return pair_run(p);
}
