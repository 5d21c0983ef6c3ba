/* SPDX-License-Identifier: MIT */
/* Resumption only under equal terms (T9), in both versions; and the table of sessions itself. */
#include "test_tls_server.h"

#include "tls/room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define PEER "192.0.2.1:25"

struct fixture {
	struct lab lab;
	struct tls_client *client;
	struct server server;
	struct records ta;    /* 2 0 1 CA, 3 1 1 stranger */
	struct records order; /* the same, the other way round, and an unusable one */
	struct records more;  /* one record more */
	struct records less;
	struct records ee;
	struct records wrong;
};

static struct tls_client *client_make(size_t sessions)
{
	char error[256] = "";
	struct tls_client *t = tls_client_new(&(struct tls_client_config){.sessions_max = sessions},
					      error, sizeof(error));
	if (t == NULL)
		fail_msg("%s", error);
	return t;
}

static int setup(void **state)
{
	static struct fixture f;
	struct records *all[] = {&f.ta, &f.order, &f.more, &f.less, &f.ee, &f.wrong};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		records_init(all[i]);
	lab_make(&f.lab);
	records_add(&f.ta, 2, 0, 1, f.lab.ca);
	records_add(&f.ta, 3, 1, 1, f.lab.other);
	records_add(&f.order, 1, 0, 1, f.lab.ec);
	records_add(&f.order, 3, 1, 1, f.lab.other);
	records_add(&f.order, 2, 0, 1, f.lab.ca);
	records_add(&f.more, 2, 0, 1, f.lab.ca);
	records_add(&f.more, 3, 1, 1, f.lab.other);
	records_add(&f.more, 3, 1, 1, f.lab.ec);
	records_add(&f.less, 2, 0, 1, f.lab.ca);
	records_add(&f.ee, 3, 1, 1, f.lab.ec);
	records_add(&f.wrong, 3, 1, 1, f.lab.other);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct records *all[] = {&f->ta, &f->order, &f->more, &f->less, &f->ee, &f->wrong};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		records_free(all[i]);
	lab_free(&f->lab);
	return 0;
}

static struct tls_terms terms_of(struct records *r)
{
	return (struct tls_terms){.policy = HOST_DANE,
				  .sni = LAB_BASE,
				  .reference_names = {LAB_BASE, LAB_NEXT_HOP, "a.example"},
				  .nreference_names = 3,
				  .tlsa = records_set(r)};
}

static const struct tls_options usual = {.peer = PEER};

struct outcome {
	enum tls_state state;
	bool resumed, authenticated;
	struct tls_match match;
	char name[64];
	size_t nchain;
	char leaf[65], issuer[65]; /* SHA-256 */
};

/* A handshake, one line both ways (so that TLS 1.3 tickets arrive), goodbye. */
static struct outcome talk(struct fixture *f, const struct tls_terms *terms,
			   const struct tls_options *o)
{
	char error[256] = "";
	struct pair p;
	struct tls_conn *t = tls_connect(f->client, terms, o, error, sizeof(error));
	if (t == NULL)
		fail_msg("%s", error);
	pair_open(&p, t, &f->server);
	struct outcome x = {.state = pair_run(&p)};
	const struct tls_facts *facts = tls_facts(t);
	x.resumed = facts->resumed;
	x.authenticated = facts->authenticated;
	x.match = facts->match;
	x.nchain = facts->nchain;
	if (x.nchain > 1) {
		snprintf(x.leaf, sizeof(x.leaf), "%s", facts->chain[0].sha256);
		snprintf(x.issuer, sizeof(x.issuer), "%s", facts->chain[1].sha256);
	}
	snprintf(x.name, sizeof(x.name), "%s", facts->match.name != NULL ? facts->match.name : "");
	x.match.name = NULL;
	if (x.state == TLS_UP) {
		tls_write(t, SLICE_LIT("QUIT\r\n"));
		pair_server_write(&p, "221\r\n", 5);
		tls_shutdown(t);
		pair_run(&p);
	}
	pair_close(&p);
	return x;
}

static void begin(struct fixture *f, int max, size_t sessions)
{
	f->client = client_make(sessions);
	server_make(&f->server, &f->lab, &(struct server_options){.max = max, .rsa = true});
}

static void end(struct fixture *f)
{
	tls_client_free(&f->client);
	server_free(&f->server);
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static void test_resumes(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 2; i++) {
		begin(f, versions[i], 10);
		struct tls_terms terms = terms_of(&f->ta);
		struct outcome first = talk(f, &terms, &usual);
		assert_int_equal(first.state, TLS_UP);
		assert_false(first.resumed);
		/* Again and again: each TLS 1.3 session brings its own ticket. */
		for (int n = 0; n < 3; n++) {
			struct outcome again = talk(f, &terms, &usual);
			assert_int_equal(again.state, TLS_UP);
			assert_true(again.resumed);
			assert_true(again.authenticated);
			assert_int_equal(again.nchain, 3);
			assert_string_equal(again.leaf, first.leaf);
			assert_string_equal(again.issuer, first.issuer);
			assert_string_equal(again.name, LAB_BASE);
			assert_int_equal(again.match.usage, 2);
			assert_int_equal(again.match.depth, 1);
			assert_int_equal(again.match.record, 0);
		}
		/* Equal terms in another order, and an unusable record more: the same key, and the
		   match points at the record where it is now. */
		struct tls_terms other = terms_of(&f->order);
		other.reference_names[1] = "a.example";
		other.reference_names[2] = LAB_NEXT_HOP;
		struct outcome moved = talk(f, &other, &usual);
		assert_true(moved.resumed);
		assert_int_equal(moved.match.record, 2);
		end(f);
	}
}

/* A session is kept without the certificates it came with: they are most of its memory. */
static void test_keeps_no_certificates(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 2; i++) {
		begin(f, versions[i], 10);
		struct tls_terms terms = terms_of(&f->ta);
		struct tls_terms_key key;
		const struct session_proof *proof = NULL;
		assert_true(tls_terms_key_make(&terms, &usual, &key));
		for (int n = 0; n < 2; n++) {
			struct outcome x = talk(f, &terms, &usual);
			assert_int_equal(x.resumed, n > 0);
			SSL_SESSION *s = tls_sessions_find(f->client->sessions, &key,
							   tls_client_now(f->client), &proof);
			assert_non_null(s);
			assert_null(SSL_SESSION_get0_peer(s));
			assert_int_equal(proof->nchain, 3);
			assert_string_equal(proof->chain[0].sha256, x.leaf);
		}
		end(f);
	}
}

/* Each row changes one thing; row 0 nothing. */
static bool change(struct fixture *f, int row, struct tls_terms *terms, struct tls_options *o)
{
	switch (row) {
	case 0:
		return true;
	case 1:
		o->peer = "192.0.2.1:26";
		return false;
	case 2:
		o->peer = NULL;
		return false;
	case 3:
		o->no_resumption = true;
		return false;
	case 4:
		o->kind = TLS_CERT_ECDSA;
		return false;
	case 5:
		terms->tlsa = records_set(&f->more);
		return false;
	case 6:
		terms->tlsa = records_set(&f->less);
		return false;
	case 7:
		terms->tlsa = records_set(&f->wrong);
		return false;
	case 8:
		terms->reference_names[0] = LAB_NEXT_HOP; /* the same names, another base */
		terms->reference_names[1] = LAB_BASE;
		return false;
	case 9:
		terms->sni = "other.example.org";
		return false;
	case 10:
		terms->nreference_names = 2;
		return false;
	case 11:
		terms->reference_names[2] = "b.example";
		return false;
	case 12:
		terms->policy = HOST_ENCRYPT;
		return false;
	case 13:
		terms->policy = HOST_MAY;
		return false;
	default:
		return false;
	}
}

static void test_never_under_other_terms(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 2 * 14; i++) {
		int row = i / 2;
		begin(f, versions[i % 2], 10);
		struct tls_terms terms = terms_of(&f->ta);
		struct tls_options o = usual;
		assert_int_equal(talk(f, &terms, &usual).state, TLS_UP);
		bool resumes = change(f, row, &terms, &o);
		struct outcome x = talk(f, &terms, &o);
		if (x.resumed != resumes)
			fail_msg("row %d version %d: resumed %d", row, i % 2, x.resumed);
		assert_int_equal(x.state, row == 7 ? TLS_FAILED : TLS_UP);
		end(f);
	}
}

/* ... and the other way: a session made without authentication never serves a DANE policy. */
static void test_not_upwards(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 4; i++) {
		begin(f, versions[i % 2], 10);
		struct tls_terms dane = terms_of(&f->wrong), loose = terms_of(&f->wrong);
		loose.policy = i / 2 ? HOST_MAY : HOST_ENCRYPT;
		assert_int_equal(talk(f, &loose, &usual).state, TLS_UP);
		struct outcome again = talk(f, &loose, &usual);
		assert_true(again.resumed);
		assert_false(again.authenticated);
		assert_false(again.match.present);
		struct outcome x = talk(f, &dane, &usual);
		assert_int_equal(x.state, TLS_FAILED);
		assert_false(x.resumed);
		/* Nor one made under `may` (TLS 1.0 would do there) a policy `encrypt`. */
		loose.policy = i / 2 ? HOST_ENCRYPT : HOST_MAY;
		x = talk(f, &loose, &usual);
		assert_int_equal(x.state, TLS_UP);
		assert_false(x.resumed);
		end(f);
	}
}

/* A failed verification leaves nothing behind, and takes what was there along. */
static void test_failure_keeps_nothing(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 2; i++) {
		begin(f, versions[i], 10);
		struct tls_terms wrong = terms_of(&f->wrong);
		struct tls_terms_key key;
		const struct session_proof *proof = NULL;
		assert_int_equal(talk(f, &wrong, &usual).state, TLS_FAILED);
		assert_true(tls_terms_key_make(&wrong, &usual, &key));
		assert_null(tls_sessions_find(f->client->sessions, &key, 0, &proof));
		end(f);
	}
}

/* The server changed its certificate: resumption rests on what it proved before, under equal
 * records; a full handshake after the session is gone fails. */
static void test_server_forgets(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 2; i++) {
		begin(f, versions[i], 10);
		struct tls_terms terms = terms_of(&f->ee);
		struct tls_options ec = {.peer = PEER, .kind = TLS_CERT_ECDSA};
		assert_int_equal(talk(f, &terms, &ec).state, TLS_UP);
		server_free(&f->server);
		/* New ticket keys, no cache. */
		server_make(&f->server, &f->lab, &(struct server_options){.max = versions[i]});
		struct outcome x = talk(f, &terms, &ec);
		assert_int_equal(x.state, TLS_UP);
		assert_false(x.resumed);
		assert_true(x.authenticated);
		assert_true(talk(f, &terms, &ec).resumed);
		end(f);
	}
}

static void test_no_table(void **state)
{
	struct fixture *f = *state;
	begin(f, 0, 0);
	struct tls_terms terms = terms_of(&f->ta);
	assert_int_equal(talk(f, &terms, &usual).state, TLS_UP);
	assert_false(talk(f, &terms, &usual).resumed);
	end(f);
}

/* --- The table by itself --- */

static SSL_SESSION *session(void)
{
	/* What SSL_SESSION_is_resumable() asks for: a session id. */
	SSL_SESSION *s = SSL_SESSION_new();
	assert_non_null(s);
	assert_int_equal(SSL_SESSION_set1_id(s, (const unsigned char *)"id", 2), 1);
	return s;
}

static struct tls_terms_key key_of(uint32_t n)
{
	struct tls_terms_key k = {{0}};
	/* Small numbers share buckets. */
	k.b[0] = (uint8_t)(n % 3);
	memcpy(k.b + 16, &n, sizeof(n));
	return k;
}

static void test_table_lru(void **state)
{
	(void)state;
	struct session_table *t = tls_sessions_new(3);
	const struct session_proof *found = NULL;
	struct session_proof proof = {.match = {.present = true, .name = "mx.example.org"},
				      .data = SLICE_LIT("data"),
				      .valid_from = 100,
				      .valid_until = 200};
	SSL_SESSION *s = session();
	for (uint32_t i = 0; i < 3; i++)
		tls_sessions_put(t, &(struct tls_terms_key[]){key_of(i)}[0], s, &proof);
	struct tls_terms_key k0 = key_of(0), k1 = key_of(1), k3 = key_of(3);
	/* Touch 0, add 3: 1 is the oldest now. */
	assert_ptr_equal(tls_sessions_find(t, &k0, 150, &found), s);
	assert_string_equal(found->match.name, "mx.example.org");
	assert_true(slice_eq_str(found->data, "data"));
	tls_sessions_put(t, &k3, s, &proof);
	assert_null(tls_sessions_find(t, &k1, 150, &found));
	assert_non_null(tls_sessions_find(t, &k0, 150, &found));
	assert_non_null(tls_sessions_find(t, &k3, 150, &found));
	/* Replacing with its own proof is safe. */
	tls_sessions_put(t, &k3, s, found);
	assert_non_null(tls_sessions_find(t, &k3, 150, &found));
	assert_string_equal(found->match.name, "mx.example.org");
	tls_sessions_drop(t, &k3);
	assert_null(tls_sessions_find(t, &k3, 150, &found));
	for (uint32_t i = 0; i < 1000; i++) {
		struct tls_terms_key k = key_of(i);
		tls_sessions_put(t, &k, s, &proof);
	}
	SSL_SESSION_free(s);
	tls_sessions_free(&t);
	assert_null(t);
	tls_sessions_free(&t);
}

/* T9: not after (or before) the dates of the certificates that proved it. */
static void test_table_dates(void **state)
{
	static const struct {
		int64_t now;
		bool ok;
	} row[] = {{99, false}, {100, true}, {199, true}, {200, false}, {INT64_MAX, false}};
	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct session_table *t = tls_sessions_new(3);
		const struct session_proof *found = NULL;
		struct session_proof proof = {.valid_from = 100, .valid_until = 200};
		struct tls_terms_key k = key_of(1);
		SSL_SESSION *s = session();
		tls_sessions_put(t, &k, s, &proof);
		assert_int_equal(tls_sessions_find(t, &k, row[i].now, &found) != NULL, row[i].ok);
		/* A stale one is gone for good. */
		assert_int_equal(tls_sessions_find(t, &k, 150, &found) != NULL, row[i].ok);
		SSL_SESSION_free(s);
		tls_sessions_free(&t);
	}
}

/* The proof of a DANE-TA path ends with its first certificate to expire. */
static void test_dates_of_path(void **state)
{
	struct fixture *f = *state;
	f->client = client_make(10);
	server_make(&f->server, &f->lab, &(struct server_options){.ec_cert = f->lab.ec_ten_days});
	struct tls_terms terms = terms_of(&f->ta);
	struct tls_terms_key key;
	const struct session_proof *proof = NULL;
	assert_int_equal(talk(f, &terms, &usual).state, TLS_UP);
	assert_true(tls_terms_key_make(&terms, &usual, &key));
	int64_t now = tls_client_now(f->client);
	assert_non_null(tls_sessions_find(f->client->sessions, &key, now, &proof));
	assert_true(proof->valid_until > now + 9 * LAB_DAY);
	assert_true(proof->valid_until <= now + 10 * LAB_DAY);
	assert_null(tls_sessions_find(f->client->sessions, &key, now + 11 * LAB_DAY, &proof));
	/* DANE-EE: dates do not matter. */
	terms = terms_of(&f->ee);
	assert_int_equal(talk(f, &terms, &usual).state, TLS_UP);
	assert_true(tls_terms_key_make(&terms, &usual, &key));
	assert_non_null(tls_sessions_find(f->client->sessions, &key, now + 11 * LAB_DAY, &proof));
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_resumes),
	    cmocka_unit_test(test_keeps_no_certificates),
	    cmocka_unit_test(test_never_under_other_terms),
	    cmocka_unit_test(test_not_upwards),
	    cmocka_unit_test(test_failure_keeps_nothing),
	    cmocka_unit_test(test_server_forgets),
	    cmocka_unit_test(test_no_table),
	    cmocka_unit_test(test_table_lru),
	    cmocka_unit_test(test_table_dates),
	    cmocka_unit_test(test_dates_of_path),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
