/* SPDX-License-Identifier: MIT */
/* What the tests of single connections share: a client, a CA, record sets. */
#ifndef TEST_TLS_FIXTURE_H
#define TEST_TLS_FIXTURE_H

#include "test_tls_server.h"

struct fixture {
	struct lab lab;
	struct tls_client *client;
	struct records ee;    /* 3 1 1 of the EC leaf */
	struct records ta;    /* 2 0 1 of the CA */
	struct records wrong; /* 3 1 1 of a stranger */
};
/* cmocka's: *state is a struct fixture. */
int setup(void **state);
int teardown(void **state);

extern const struct tls_options plain_options; /* no resumption */

struct tls_client *client_make(const struct tls_client_config *c);
struct tls_terms terms_dane(struct records *r);
struct tls_terms terms_without(enum host_policy policy);
struct tls_conn *connect_with(struct tls_client *c, const struct tls_terms *terms,
			      const struct tls_options *o);
/* A whole handshake; the caller closes the pair. */
enum tls_state handshake(struct fixture *f, struct pair *p, struct server *s,
			 const struct tls_terms *terms, const struct tls_options *o);

#endif
