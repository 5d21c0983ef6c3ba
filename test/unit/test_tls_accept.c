/* SPDX-License-Identifier: MIT */
/*
 * The server's handshakes: which certificate for whom, versions and suites, resumption, reload,
 * DANE from our own client. Loading is in test_tls_certs.c, bytes are in test_tls_accept_bytes.c.
 */
#include "test_tls_serve.h"

#include "tls/server_room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { A_RSA, A_EC, B_RSA, WILD_EC, PLAIN_EC, NPEM };

struct fixture {
	struct lab lab;
	struct pem pem[NPEM];
	struct tls_server_cert cert[NPEM];
	int64_t now;
	struct tls_server *server; /* of all of them */
};

static struct tls_server *make(const struct tls_server_config *c, int64_t now)
{
	char error[256] = "";
	struct tls_server *s = tls_server_new(c, now, error, sizeof(error));
	if (s == NULL)
		fail_msg("%s", error);
	return s;
}

static struct tlss *accept_one(struct tls_server *s, int64_t now)
{
	char error[256] = "";
	struct tlss *t = tlss_accept(s, now, error, sizeof(error));
	if (t == NULL)
		fail_msg("%s", error);
	return t;
}

static int setup(void **state)
{
	static struct fixture f;
	lab_make(&f.lab);
	f.now = (int64_t)time(NULL);
	int64_t from = f.now - LAB_DAY, until = f.now + LAB_DAY;
	pem_make(&f.pem[A_RSA], &f.lab, f.lab.rsa_key, "a rsa", "DNS:a.example.org", from, until);
	pem_make(&f.pem[A_EC], &f.lab, f.lab.ec_key, "a ec", "DNS:A.Example.org,DNS:aa.example.org",
		 from, until);
	pem_make(&f.pem[B_RSA], &f.lab, f.lab.rsa_key, "b rsa", "DNS:b.example.org", from, until);
	pem_make(&f.pem[WILD_EC], &f.lab, f.lab.ec_key, "wild ec", "DNS:*.example.org", from,
		 until);
	pem_make(&f.pem[PLAIN_EC], &f.lab, f.lab.other_key, "cn.example.net", NULL, from, until);
	for (int i = 0; i < NPEM; i++)
		f.cert[i] = pem_cert(&f.pem[i]);
	f.server = make(&(struct tls_server_config){.cert = f.cert, .ncert = NPEM}, f.now);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	tls_server_free(&f->server);
	lab_free(&f->lab);
	return 0;
}

/* --- Which certificate --- */

#define RSA_ONLY "RSA-PSS+SHA256:RSA+SHA256"
#define ECDSA_ONLY "ECDSA+SHA256"

static void test_choice(void **state)
{
	static const struct {
		const char *sni, *sigalgs, *cn;
		int cert;
		bool matched, fails;
	} row[] = {
	    {"a.example.org", NULL, "a ec", A_EC, true, false},
	    {"A.EXAMPLE.ORG", NULL, "a ec", A_EC, true, false},
	    {"a.example.org", RSA_ONLY, "a rsa", A_RSA, true, false},
	    {"a.example.org", ECDSA_ONLY, "a ec", A_EC, true, false},
	    {"aa.example.org", NULL, "a ec", A_EC, true, false},
	    /* exact for RSA, wildcard for ECDSA: both have the name */
	    {"b.example.org", RSA_ONLY, "b rsa", B_RSA, true, false},
	    {"b.example.org", NULL, "wild ec", WILD_EC, true, false},
	    {"c.example.org", NULL, "wild ec", WILD_EC, true, false},
	    {"c.example.org", RSA_ONLY, "", -1, true, true},
	    {"cn.example.net", NULL, "cn.example.net", PLAIN_EC, true, false},
	    {"x.c.example.org", NULL, "a ec", A_EC, false, false}, /* a wildcard is one label */
	    {"example.org", NULL, "a ec", A_EC, false, false},
	    {"unknown.example", NULL, "a ec", A_EC, false, false},
	    {"unknown.example", RSA_ONLY, "a rsa", A_RSA, false, false},
	    {NULL, NULL, "a ec", A_EC, false, false},
	    {NULL, RSA_ONLY, "a rsa", A_RSA, false, false},
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < 2 * sizeof(row) / sizeof(row[0]); i++) {
		struct peer p;
		char cn[64];
		struct tlss *t = accept_one(f->server, f->now);
		peer_open(&p, &(struct peer_options){.sni = row[i / 2].sni,
						     .sigalgs = row[i / 2].sigalgs,
						     .max = i % 2 ? TLS1_2_VERSION : 0});
		enum tls_state s = peer_run(&p, t, NULL, 0);
		const struct tlss_facts *k = tlss_facts(t);
		if (s != (row[i / 2].fails ? TLS_FAILED : TLS_UP) ||
		    strcmp(peer_cn(&p, cn), row[i / 2].cn) != 0 || k->cert != row[i / 2].cert ||
		    k->sni_matched != row[i / 2].matched)
			fail_msg("row %zu: state %d '%s' cert %d matched %d: %s", i / 2, s, cn,
				 k->cert, k->sni_matched, k->detail);
		if (row[i / 2].fails)
			assert_true(strlen(k->detail) > 5);
		if (row[i / 2].sni == NULL)
			assert_string_equal(k->sni, "");
		peer_close(&p);
		tlss_free(&t);
	}
}

/* The default is the first, and of other kinds only what shares its name. */
static void test_default_is_the_first(void **state)
{
	struct fixture *f = *state;
	struct tls_server_cert cert[] = {f->cert[B_RSA], f->cert[A_EC]};
	struct tls_server *s = make(&(struct tls_server_config){.cert = cert, .ncert = 2}, f->now);
	static const char *const sni[] = {NULL, "unknown.example", "b.example.org",
					  "a.example.org"};
	for (int i = 0; i < 4; i++) {
		struct peer p;
		char cn[64];
		struct tlss *t = accept_one(s, f->now);
		peer_open(&p, &(struct peer_options){.sni = sni[i]});
		assert_int_equal(peer_run(&p, t, NULL, 0), TLS_UP);
		assert_string_equal(peer_cn(&p, cn), i < 3 ? "b rsa" : "a ec");
		peer_close(&p);
		tlss_free(&t);
	}
	tls_server_free(&s);
}

/* Names of the configuration replace those of the certificate. */
static void test_given_names(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = {"Mail.Example.COM.", "*.example.edu"};
	struct tls_server_cert cert[] = {f->cert[A_EC], f->cert[PLAIN_EC]};
	cert[1].name = names;
	cert[1].nname = 2;
	struct tls_server *s = make(&(struct tls_server_config){.cert = cert, .ncert = 2}, f->now);
	const char *const *seen = NULL;
	assert_int_equal(tls_server_names(s, 1, &seen), 2);
	assert_string_equal(seen[0], "mail.example.com");
	assert_int_equal(tls_server_names(s, 0, &seen), 2);
	assert_string_equal(seen[0], "a.example.org");
	assert_non_null(tls_server_chain(s, 1));
	assert_null(tls_server_chain(s, 2));
	static const char *const sni[] = {"mail.example.com", "x.example.edu", "cn.example.net"};
	for (int i = 0; i < 3; i++) {
		struct peer p;
		struct tlss *t = accept_one(s, f->now);
		peer_open(&p, &(struct peer_options){.sni = sni[i]});
		assert_int_equal(peer_run(&p, t, NULL, 0), TLS_UP);
		assert_int_equal(tlss_facts(t)->cert, i < 2 ? 1 : 0);
		assert_string_equal(tlss_facts(t)->sni, sni[i]);
		peer_close(&p);
		tlss_free(&t);
	}
	tls_server_free(&s);
}

/* --- Versions and suites --- */

static void test_policy(void **state)
{
	static const struct {
		enum tls_server_use use;
		bool tls10;
		int min, max;
		const char *ciphers, *version, *cipher; /* version NULL: refused */
	} row[] = {
	    {TLS_SERVER_RELAY, false, 0, 0, NULL, "TLSv1.3", "TLS_AES_128_GCM_SHA256"},
	    {TLS_SERVER_RELAY, false, 0, TLS1_2_VERSION, NULL, "TLSv1.2",
	     "ECDHE-ECDSA-AES128-GCM-SHA256"},
	    {TLS_SERVER_RELAY, false, 0, TLS1_2_VERSION, "AES128-SHA", "TLSv1.2", "AES128-SHA"},
	    {TLS_SERVER_RELAY, false, 0, TLS1_2_VERSION, "aNULL:@SECLEVEL=0", NULL, NULL},
	    {TLS_SERVER_RELAY, false, 0, TLS1_2_VERSION, "eNULL:@SECLEVEL=0", NULL, NULL},
	    {TLS_SERVER_RELAY, false, 0, TLS1_2_VERSION, "DHE-RSA-AES128-GCM-SHA256", NULL, NULL},
	    {TLS_SERVER_RELAY, false, 0, TLS1_1_VERSION, NULL, NULL, NULL},
	    {TLS_SERVER_RELAY, false, 0, TLS1_VERSION, NULL, NULL, NULL},
	    {TLS_SERVER_RELAY, true, 0, TLS1_VERSION, NULL, "TLSv1", "ECDHE-ECDSA-AES128-SHA"},
	    {TLS_SERVER_RELAY, true, 0, TLS1_1_VERSION, "AES256-SHA:@SECLEVEL=0", "TLSv1.1",
	     "AES256-SHA"},
	    {TLS_SERVER_RELAY, true, 0, TLS1_VERSION, "aNULL:@SECLEVEL=0", NULL, NULL},
	    {TLS_SERVER_RELAY, true, 0, 0, NULL, "TLSv1.3", "TLS_AES_128_GCM_SHA256"},
	    {TLS_SERVER_SUBMISSION, false, 0, TLS1_2_VERSION, "AES128-SHA", NULL, NULL},
	    {TLS_SERVER_SUBMISSION, false, 0, TLS1_2_VERSION, NULL, "TLSv1.2",
	     "ECDHE-ECDSA-AES128-GCM-SHA256"},
	    {TLS_SERVER_SUBMISSION, false, 0, TLS1_1_VERSION, NULL, NULL, NULL},
	    {TLS_SERVER_SUBMISSION, false, 0, 0, NULL, "TLSv1.3", "TLS_AES_128_GCM_SHA256"},
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct peer p;
		struct tls_server *s = make(
		    &(struct tls_server_config){
			.cert = f->cert, .ncert = 2, .use = row[i].use, .tls10 = row[i].tls10},
		    f->now);
		struct tlss *t = accept_one(s, f->now);
		peer_open(&p, &(struct peer_options){
				  .min = row[i].min, .max = row[i].max, .ciphers = row[i].ciphers});
		enum tls_state got = peer_run(&p, t, NULL, 0);
		const struct tlss_facts *k = tlss_facts(t);
		if (got != (row[i].version != NULL ? TLS_UP : TLS_FAILED))
			fail_msg("row %zu: state %d %s %s", i, got, k->version, k->detail);
		if (row[i].version != NULL) {
			assert_string_equal(k->version, row[i].version);
			assert_string_equal(k->cipher, row[i].cipher);
			assert_string_equal(k->detail, "");
		} else {
			assert_true(p.failed);
			assert_true(k->detail[0] != '\0');
		}
		peer_close(&p);
		tlss_free(&t);
		tls_server_free(&s);
	}
}

static void test_group(void **state)
{
	static const char *const group[][2] = {
	    {"X25519", "x25519"}, {"P-256", "P-256"}, {"P-384:P-256", "P-256"}, {"P-521", "P-521"}};
	struct fixture *f = *state;
	for (int i = 0; i < 4; i++) {
		struct peer p;
		struct tlss *t = accept_one(f->server, f->now);
		peer_open(&p,
			  &(struct peer_options){.groups = group[i][0], .sni = "b.example.org"});
		assert_int_equal(peer_run(&p, t, NULL, 0), TLS_UP);
		/* the client's key share decides before our order does */
		if (i != 2)
			assert_string_equal(tlss_facts(t)->group, group[i][1]);
		assert_true(tlss_facts(t)->sni_matched);
		peer_close(&p);
		tlss_free(&t);
	}
	/* HelloRetryRequest: the first group it guesses is none of ours. */
	struct peer p;
	struct tlss *t = accept_one(f->server, f->now);
	peer_open(&p, &(struct peer_options){.groups = "X448:P-256", .sni = "b.example.org"});
	assert_int_equal(peer_run(&p, t, NULL, 0), TLS_UP);
	assert_string_equal(tlss_facts(t)->group, "P-256");
	assert_int_equal(tlss_facts(t)->cert, WILD_EC);
	peer_close(&p);
	tlss_free(&t);
}

/* Of a certificate with more names than may choose it the rest does not: anybody may issue one, and
 * each name costs memory. The certificate itself is good. */
static void test_too_many_names(void **state)
{
	static char san[16 * (TLS_SERVER_NAMES_MAX + 2)];
	static struct pem pem;
	struct fixture *f = *state;
	size_t used = 0;
	for (int i = 1; i <= TLS_SERVER_NAMES_MAX + 1; i++)
		used += (size_t)snprintf(san + used, sizeof(san) - used, "%sDNS:n%d.t",
					 i > 1 ? "," : "", i);
	pem_make(&pem, &f->lab, f->lab.ec_key, "many", san, f->now - LAB_DAY, f->now + LAB_DAY);
	struct tls_server_cert cert = pem_cert(&pem);
	struct tls_server *s = make(&(struct tls_server_config){.cert = &cert, .ncert = 1}, f->now);
	for (int i = 0; i < 2; i++) {
		char sni[32];
		struct peer p;
		struct tlss *t = accept_one(s, f->now);
		snprintf(sni, sizeof(sni), "n%d.t", TLS_SERVER_NAMES_MAX + i);
		peer_open(&p, &(struct peer_options){.sni = sni});
		assert_int_equal(peer_run(&p, t, NULL, 0), TLS_UP);
		assert_int_equal(tlss_facts(t)->sni_matched, i == 0);
		peer_close(&p);
		tlss_free(&t);
	}
	tls_server_free(&s);
}

static void test_no_renegotiation(void **state)
{
	struct fixture *f = *state;
	struct peer p;
	struct buf plain;
	struct tlss *t = accept_one(f->server, f->now);
	buf_init(&plain, 1000);
	peer_open(&p, &(struct peer_options){.max = TLS1_2_VERSION});
	assert_int_equal(peer_run(&p, t, &plain, 0), TLS_UP);
	assert_int_equal(SSL_renegotiate(p.ssl), 1);
	SSL_do_handshake(p.ssl);
	peer_run(&p, t, &plain, 0);
	assert_int_equal(SSL_num_renegotiations(p.ssl) <= 1, 1);
	assert_true(p.failed || SSL_renegotiate_pending(p.ssl) || !SSL_is_init_finished(p.ssl));
	peer_close(&p);
	tlss_free(&t);
	buf_free(&plain);
}

/* --- Resumption --- */

/* A connection; the session that the client got out of it replaces *session. */
static bool talk(struct fixture *f, struct tls_server *s, const char *sni, int max, int64_t now,
		 SSL_SESSION **session)
{
	struct peer p;
	struct buf plain;
	struct tlss *t = accept_one(s, now);
	buf_init(&plain, 1000);
	(void)f;
	peer_open(&p, &(struct peer_options){.sni = sni, .max = max, .session = *session});
	assert_int_equal(peer_run(&p, t, &plain, 0), TLS_UP);
	SSL_SESSION_free(*session);
	*session = SSL_get1_session(p.ssl);
	bool resumed = tlss_facts(t)->resumed;
	assert_int_equal(resumed, SSL_session_reused(p.ssl));
	assert_int_equal(tlss_facts(t)->cert == -1, resumed);
	if (resumed)
		assert_string_equal(tlss_facts(t)->sni, sni);
	peer_close(&p);
	tlss_free(&t);
	buf_free(&plain);
	return resumed;
}

static void test_resumption(void **state)
{
	struct fixture *f = *state;
	const int64_t hour = TICKET_SECONDS;
	for (int i = 0; i < 2; i++) {
		int max = i ? TLS1_2_VERSION : 0;
		SSL_SESSION *session = NULL;
		struct tls_server *s =
		    make(&(struct tls_server_config){.cert = f->cert, .ncert = NPEM}, f->now);
		assert_false(talk(f, s, "a.example.org", max, f->now, &session));
		assert_true(talk(f, s, "a.example.org", max, f->now, &session));
		assert_true(talk(f, s, "a.example.org", max, f->now, &session));
		/* RFC 6066 s3: not under a name with other certificates */
		assert_false(talk(f, s, "cn.example.net", max, f->now, &session));
		assert_true(talk(f, s, "cn.example.net", max, f->now, &session));
		/* the key before still reads, and the ticket is replaced */
		assert_true(talk(f, s, "cn.example.net", max, f->now + hour, &session));
		assert_true(talk(f, s, "cn.example.net", max, f->now + 2 * hour, &session));
		/* two keys on: unreadable */
		assert_false(talk(f, s, "cn.example.net", max, f->now + 4 * hour, &session));
		/* a clock that jumps back changes nothing */
		assert_true(talk(f, s, "cn.example.net", max, f->now, &session));
		/* a far jump makes new keys at once */
		assert_false(talk(f, s, "cn.example.net", max, f->now + 100000 * hour, &session));
		assert_true(talk(f, s, "cn.example.net", max, f->now + 100000 * hour, &session));
		SSL_SESSION_free(session);
		tls_server_free(&s);
	}
}

/* Two processes of one seed read each other's tickets, whenever they started; others do not. */
static void test_shared_tickets(void **state)
{
	struct fixture *f = *state;
	const int64_t hour = TICKET_SECONDS;
	uint8_t seed[TLS_TICKET_SEED] = {1, 2, 3}, other_seed[TLS_TICKET_SEED] = {1, 2, 4};
	struct tls_server_config c = {.cert = f->cert,
				      .ncert = NPEM,
				      .ticket_seed = seed,
				      .ticket_seed_time = f->now - 10 * hour};
	struct tls_server *one = make(&c, f->now - 5 * hour), *two = make(&c, f->now);
	c.ticket_seed = other_seed;
	struct tls_server *stranger = make(&c, f->now);
	SSL_SESSION *session = NULL;
	assert_false(talk(f, one, "a.example.org", 0, f->now, &session));
	assert_true(talk(f, two, "a.example.org", 0, f->now, &session));
	assert_true(talk(f, one, "a.example.org", 0, f->now, &session));
	assert_false(talk(f, stranger, "a.example.org", 0, f->now, &session));
	SSL_SESSION_free(session);
	tls_server_free(&one);
	tls_server_free(&two);
	tls_server_free(&stranger);
}

/* RFC 5077 s4: a ticket begins with its key's name. */
enum { TICKET_NAME = 16 };

static void ticket_name(struct fixture *f, struct tls_server *s, int max, int64_t now,
			uint8_t out[static TICKET_NAME])
{
	SSL_SESSION *session = NULL;
	const unsigned char *ticket = NULL;
	size_t n = 0;
	assert_false(talk(f, s, "a.example.org", max, now, &session));
	SSL_SESSION_get0_ticket(session, &ticket, &n);
	assert_true(n > TICKET_NAME);
	memcpy(out, ticket, TICKET_NAME);
	SSL_SESSION_free(session);
}

/* RFC 5077 s5.5: one key, one name, wherever it is used; another key (of a later time, of another
 * seed, of nobody's seed) has another. Who watches learns nothing else from it. */
static void test_ticket_names(void **state)
{
	struct fixture *f = *state;
	const int64_t hour = TICKET_SECONDS;
	uint8_t seed[TLS_TICKET_SEED] = {1, 2, 3}, other_seed[TLS_TICKET_SEED] = {1, 2, 4};
	for (int i = 0; i < 2; i++) {
		int max = i ? TLS1_2_VERSION : 0;
		uint8_t name[6][TICKET_NAME], none[TICKET_NAME] = {0};
		struct tls_server_config c = {.cert = f->cert,
					      .ncert = NPEM,
					      .ticket_seed = seed,
					      .ticket_seed_time = f->now};
		struct tls_server *one = make(&c, f->now), *two = make(&c, f->now);
		c.ticket_seed = other_seed;
		struct tls_server *stranger = make(&c, f->now);
		c.ticket_seed = NULL;
		struct tls_server *alone = make(&c, f->now), *alone_too = make(&c, f->now);
		ticket_name(f, one, max, f->now, name[0]);
		ticket_name(f, two, max, f->now, name[1]);
		assert_memory_equal(name[0], name[1], TICKET_NAME);
		ticket_name(f, one, max, f->now + hour, name[1]);
		ticket_name(f, one, max, f->now + 2 * hour, name[2]);
		ticket_name(f, stranger, max, f->now, name[3]);
		ticket_name(f, alone, max, f->now, name[4]);
		ticket_name(f, alone_too, max, f->now, name[5]);
		for (int a = 0; a < 6; a++) {
			assert_memory_not_equal(name[a], none, TICKET_NAME);
			assert_memory_not_equal(name[a], seed, TICKET_NAME);
			for (int b = 0; b < a; b++)
				assert_memory_not_equal(name[a], name[b], TICKET_NAME);
		}
		struct tls_server *all[] = {one, two, stranger, alone, alone_too};
		for (int n = 0; n < 5; n++)
			tls_server_free(&all[n]);
	}
}

/* --- Reload --- */

static void test_reload(void **state)
{
	struct fixture *f = *state;
	struct tls_server *old =
	    make(&(struct tls_server_config){.cert = f->cert, .ncert = 1}, f->now);
	struct tlss *up = accept_one(old, f->now), *begun = accept_one(old, f->now);
	struct peer p, q;
	struct buf plain, first;
	char cn[64];
	buf_init(&plain, 1000);
	peer_open(&p, &(struct peer_options){0});
	peer_open(&q, &(struct peer_options){0});
	assert_int_equal(peer_run(&p, up, &plain, 0), TLS_UP);
	/* half a ClientHello */
	peer_output(&q, &first);
	tlss_feed(begun, slice_first(buf_slice(&first), 100), NULL);

	struct tls_server *new =
	    make(&(struct tls_server_config){.cert = &f->cert[B_RSA], .ncert = 1}, f->now);
	tls_server_free(&old);
	assert_null(old);
	assert_int_equal(SSL_write(p.ssl, "NOOP\r\n", 6), 6);
	assert_int_equal(peer_run(&p, up, &plain, 0), TLS_UP);
	assert_true(slice_eq_str(buf_slice(&plain), "NOOP\r\n"));
	tlss_feed(begun, slice_from(buf_slice(&first), 100), NULL);
	assert_int_equal(peer_run(&q, begun, &plain, 0), TLS_UP);
	assert_string_equal(peer_cn(&q, cn), "a rsa");
	peer_close(&p);
	peer_close(&q);
	tlss_free(&up);
	tlss_free(&begun); /* the last one: the sanitizer sees the old server go */

	struct tlss *t = accept_one(new, f->now);
	peer_open(&p, &(struct peer_options){0});
	assert_int_equal(peer_run(&p, t, &plain, 0), TLS_UP);
	assert_string_equal(peer_cn(&p, cn), "b rsa");
	peer_close(&p);
	tlss_free(&t);
	tls_server_free(&new);
	buf_free(&first);
	buf_free(&plain);
}

/* --- Our own client, DANE --- */

static void test_our_client(void **state)
{
	struct fixture *f = *state;
	char error[256] = "";
	struct tls_client *c =
	    tls_client_new(&(struct tls_client_config){.sessions_max = 10}, error, sizeof(error));
	struct records good, wrong;
	records_init(&good);
	records_add(&good, 2, 0, 1, f->lab.ca);
	records_init(&wrong);
	records_add(&wrong, 3, 1, 1, f->lab.root);
	assert_non_null(c);
	for (int i = 0; i < 6; i++) {
		bool ok = i < 4;
		struct tls_terms terms = {.policy = HOST_DANE,
					  .sni = "a.example.org",
					  .reference_names = {"a.example.org"},
					  .nreference_names = 1,
					  .tlsa = records_set(ok ? &good : &wrong)};
		struct tls_options o = {.kind = i < 2 ? TLS_CERT_RSA : TLS_CERT_ECDSA,
					.peer = "192.0.2.1:25"};
		struct tls_conn *t = tls_connect(c, &terms, &o, error, sizeof(error));
		struct tlss *s = accept_one(f->server, f->now);
		struct buf cp, sp;
		buf_init(&cp, 1000);
		buf_init(&sp, 1000);
		assert_non_null(t);
		enum tls_state state_s = ours_run(t, s, &cp, &sp);
		if (ok) {
			assert_int_equal(tls_state(t), TLS_UP);
			assert_int_equal(state_s, TLS_UP);
			assert_true(tls_facts(t)->authenticated);
			assert_int_equal(tlss_facts(s)->resumed, i % 2);
			assert_int_equal(tls_facts(t)->resumed, i % 2);
			assert_string_equal(tls_facts(t)->cipher, tlss_facts(s)->cipher);
			tls_write(t, SLICE_LIT("EHLO c\r\n"));
			tlss_write(s, SLICE_LIT("250 s\r\n"));
			ours_run(t, s, &cp, &sp);
			assert_true(slice_eq_str(buf_slice(&sp), "EHLO c\r\n"));
			assert_true(slice_eq_str(buf_slice(&cp), "250 s\r\n"));
			tls_shutdown(t);
			assert_int_equal(ours_run(t, s, &cp, &sp), TLS_CLOSED);
			tlss_shutdown(s);
			ours_run(t, s, &cp, &sp);
			assert_int_equal(tls_state(t), TLS_CLOSED);
		} else {
			/* TLS 1.3: we were up; the client's alert comes after. */
			assert_int_equal(tls_state(t), TLS_FAILED);
			assert_int_equal(state_s, TLS_FAILED);
			assert_non_null(strstr(tlss_facts(s)->detail, "alert"));
		}
		tls_conn_free(&t);
		tlss_free(&s);
		buf_free(&cp);
		buf_free(&sp);
	}
	records_free(&good);
	records_free(&wrong);
	tls_client_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_choice),       cmocka_unit_test(test_default_is_the_first),
	    cmocka_unit_test(test_given_names),  cmocka_unit_test(test_policy),
	    cmocka_unit_test(test_group),        cmocka_unit_test(test_no_renegotiation),
	    cmocka_unit_test(test_resumption),   cmocka_unit_test(test_shared_tickets),
	    cmocka_unit_test(test_ticket_names), cmocka_unit_test(test_too_many_names),
	    cmocka_unit_test(test_reload),       cmocka_unit_test(test_our_client),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
