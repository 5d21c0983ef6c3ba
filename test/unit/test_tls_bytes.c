/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a connection: every split and every end of a handshake, damage and garbage, more
 * data than room, the ways to close. Handshakes as such are in test_tls_handshake.c.
 */
#include "test_tls_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/rand.h>

static void test_one_octet_at_a_time(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 2; i++) {
		struct server s;
		struct pair p;
		struct tls_terms terms = terms_dane(i == 0 ? &f->ee : &f->ta);
		server_make(&s, &f->lab,
			    &(struct server_options){.max = i == 0 ? 0 : TLS1_2_VERSION});
		pair_open(&p, connect_with(f->client, &terms, &plain_options), &s);
		p.step = 1;
		assert_int_equal(pair_run(&p), TLS_UP);
		pair_server_write(&p, "250 ok\r\n", 8);
		assert_int_equal(tls_write(p.t, SLICE_LIT("EHLO a\r\n")), TLS_UP);
		assert_int_equal(pair_run(&p), TLS_UP);
		assert_true(slice_eq_str(buf_slice(&p.plain), "250 ok\r\n"));
		assert_true(slice_eq_str(buf_slice(&p.got), "EHLO a\r\n"));
		pair_close(&p);
		server_free(&s);
	}
}

/* Memory is given back between two texts, and nothing of what is under way is lost with it. */
static void test_rest(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 2; i++) {
		struct server s;
		struct pair p;
		struct tls_terms terms = terms_dane(&f->ee);
		server_make(&s, &f->lab, &(struct server_options){.max = i ? TLS1_2_VERSION : 0});
		pair_open(&p, connect_with(f->client, &terms, &plain_options), &s);
		tls_rest(p.t); /* too early: the ClientHello waits */
		assert_int_equal(pair_run(&p), TLS_UP);
		for (int round = 0; round < 3; round++) {
			buf_reset(&p.plain);
			buf_reset(&p.got);
			tls_rest(p.t);
			assert_int_equal(tls_write(p.t, SLICE_LIT("MAIL\r\n")), TLS_UP);
			tls_rest(p.t); /* with something to send */
			pair_server_write(&p, "250 ok\r\n", 8);
			assert_int_equal(pair_run(&p), TLS_UP);
			assert_true(slice_eq_str(buf_slice(&p.plain), "250 ok\r\n"));
			assert_true(slice_eq_str(buf_slice(&p.got), "MAIL\r\n"));
		}
		pair_close(&p);
		server_free(&s);
	}
}

/* The server's answer to the ClientHello, fresh for each use. */
static void flight(struct fixture *f, struct pair *p, struct server *s, struct buf *out)
{
	struct tls_terms terms = terms_dane(&f->ee);
	pair_open(p, connect_with(f->client, &terms, &plain_options), s);
	pair_to_server(p);
	pair_from_server(p, out);
}

static void test_every_split_and_end(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 2; i++) {
		struct server s;
		size_t length = 100;
		server_make(&s, &f->lab, &(struct server_options){.max = i ? TLS1_2_VERSION : 0});
		/* The length varies: an ECDSA signature is a number or two shorter now and then. */
		for (size_t at = 0; at + 4 < length; at++) {
			struct pair p;
			struct buf b;
			flight(f, &p, &s, &b);
			length = buf_len(&b);
			struct slice all = buf_slice(&b);
			tls_feed(p.t, slice_first(all, at), &p.plain);
			assert_int_equal(tls_state(p.t), TLS_HANDSHAKING);
			if (at % 2 == 0) {
				tls_feed(p.t, slice_from(all, at), NULL);
				assert_int_equal(pair_run(&p), TLS_UP);
				assert_int_equal(tls_feed_eof(p.t), TLS_CLOSED);
			} else {
				assert_int_equal(tls_feed_eof(p.t), TLS_FAILED);
				assert_int_equal(tls_facts(p.t)->reason, REASON_TLS_FAILED);
				assert_string_equal(tls_facts(p.t)->detail,
						    "peer closed during the handshake");
				tls_feed(p.t, slice_from(all, at), &p.plain);
				assert_int_equal(tls_state(p.t), TLS_FAILED);
			}
			buf_free(&b);
			pair_close(&p);
		}
		server_free(&s);
	}
}

/* Somebody on the way changes one bit. Some octets of a TLS 1.2 flight have no meaning for the
 * client (the record header's minor version); none may lead to TLS_UP without the match. */
static void test_every_octet_damaged(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 2; i++) {
		struct server s;
		size_t length = 1, up = 0;
		server_make(&s, &f->lab, &(struct server_options){.max = i ? TLS1_2_VERSION : 0});
		for (size_t at = 0; at < length; at++) {
			struct pair p;
			struct buf b;
			flight(f, &p, &s, &b);
			length = buf_len(&b);
			if (at >= length)
				at = length - 1;
			b.p[b.start + at] ^= (uint8_t)(1u << (at % 8));
			tls_feed(p.t, buf_slice(&b), &p.plain);
			if (pair_run(&p) == TLS_UP) {
				assert_true(tls_facts(p.t)->authenticated);
				up++;
			} else {
				assert_false(tls_facts(p.t)->authenticated);
				assert_false(tls_facts(p.t)->match.present);
			}
			buf_free(&b);
			pair_close(&p);
		}
		print_message("damage: %zu octets, %zu without effect\n", length, up);
		assert_true(up <= 8);
		server_free(&s);
	}
}

static void test_garbage(void **state)
{
	struct fixture *f = *state;
	/* Of garbage OpenSSL's releases say different things; of an alert they say which it was. */
	static const char *const row[][2] = {
	    {"HTTP/1.0 400 Bad Request\r\n\r\n", ""},
	    {"220 ready\r\n250 pipelined\r\n", ""},
	    {"\x15\x03\x03\x00\x02\x02\x28", "alert handshake failure"},
	    {"\x15\x03\x03\x00\x02\x02\x46", "alert protocol version"},
	    {"\x16\x03\x03\xff\xff\x02\x00", ""},
	};
	struct tls_terms terms = terms_dane(&f->ee);
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct tls_conn *t = connect_with(f->client, &terms, &plain_options);
		size_t n = i < 2 ? strlen(row[i][0]) : 7;
		assert_int_equal(tls_feed(t, slice_make(row[i][0], n), NULL), TLS_FAILED);
		assert_int_equal(tls_facts(t)->reason, REASON_TLS_FAILED);
		if (strstr(tls_facts(t)->detail, row[i][1]) == NULL)
			fail_msg("expected \"%s\", got \"%s\"", row[i][1], tls_facts(t)->detail);
		assert_true(tls_facts(t)->detail[0] != '\0');
		assert_string_equal(tls_facts(t)->version, "");
		tls_conn_free(&t);
	}
}

static void test_big_data(void **state)
{
	struct fixture *f = *state;
	enum { SIZE = 1 << 20, ROOM = 1000 };
	static uint8_t data[SIZE];
	struct server s;
	struct pair p;
	struct buf b, small;
	size_t got = 0;
	struct tls_terms terms = terms_dane(&f->ee);
	assert_int_equal(RAND_bytes(data, SIZE), 1);
	server_make(&s, &f->lab, &(struct server_options){0});
	assert_int_equal(handshake(f, &p, &s, &terms, &plain_options), TLS_UP);
	pair_server_write(&p, data, SIZE);
	pair_from_server(&p, &b);
	/* All at once into a buffer with little room: the rest waits inside. */
	buf_init(&small, ROOM);
	tls_feed(p.t, buf_slice(&b), &small);
	while (buf_len(&small) > 0) {
		struct slice x = buf_slice(&small);
		assert_true(x.n <= ROOM && got + x.n <= SIZE);
		assert_memory_equal(x.p, data + got, x.n);
		got += x.n;
		buf_consume(&small, x.n);
		assert_int_equal(tls_feed(p.t, slice_make(NULL, 0), &small), TLS_UP);
	}
	assert_int_equal(got, SIZE);
	buf_free(&b);
	/* The other way through small buffers. */
	assert_int_equal(tls_write(p.t, slice_make(data, SIZE)), TLS_UP);
	for (;;) {
		tls_pending(p.t, &small);
		struct slice x = buf_slice(&small);
		if (x.n == 0)
			break;
		assert_true(x.n <= ROOM);
		assert_int_equal(BIO_write(p.in, x.p, (int)x.n), (int)x.n);
		buf_consume(&small, x.n);
	}
	assert_int_equal(pair_run(&p), TLS_UP);
	assert_int_equal(buf_len(&p.got), SIZE);
	assert_memory_equal(buf_slice(&p.got).p, data, SIZE);
	buf_free(&small);
	pair_close(&p);
	server_free(&s);
}

/* What waits inside is not lost when the transport ends. */
static void test_rest_after_eof(void **state)
{
	struct fixture *f = *state;
	struct server s;
	struct pair p;
	struct buf b, small;
	struct tls_terms terms = terms_dane(&f->ee);
	server_make(&s, &f->lab, &(struct server_options){0});
	assert_int_equal(handshake(f, &p, &s, &terms, &plain_options), TLS_UP);
	pair_server_write(&p, "0123456789", 10);
	pair_from_server(&p, &b);
	buf_init(&small, 4);
	assert_int_equal(tls_feed(p.t, buf_slice(&b), &small), TLS_UP);
	assert_int_equal(tls_feed_eof(p.t), TLS_CLOSED);
	assert_int_equal(tls_feed(p.t, slice_make(NULL, 0), &p.plain), TLS_CLOSED);
	assert_true(slice_eq_str(buf_slice(&small), "0123"));
	assert_true(slice_eq_str(buf_slice(&p.plain), "456789"));
	buf_free(&b);
	buf_free(&small);
	pair_close(&p);
	server_free(&s);
}

static void test_close_notify(void **state)
{
	struct fixture *f = *state;
	struct server s;
	struct pair p;
	struct tls_terms terms = terms_dane(&f->ee);
	server_make(&s, &f->lab, &(struct server_options){0});
	assert_int_equal(handshake(f, &p, &s, &terms, &plain_options), TLS_UP);
	pair_server_write(&p, "221 bye\r\n", 9);
	SSL_shutdown(p.ssl);
	assert_int_equal(pair_run(&p), TLS_CLOSED);
	assert_true(slice_eq_str(buf_slice(&p.plain), "221 bye\r\n"));
	assert_int_equal(tls_write(p.t, SLICE_LIT("x")), TLS_CLOSED);
	assert_int_equal(tls_feed_eof(p.t), TLS_CLOSED);
	pair_close(&p);
	/* Ours. */
	assert_int_equal(handshake(f, &p, &s, &terms, &plain_options), TLS_UP);
	tls_write(p.t, SLICE_LIT("QUIT\r\n"));
	tls_shutdown(p.t);
	pair_run(&p);
	assert_true(slice_eq_str(buf_slice(&p.got), "QUIT\r\n"));
	assert_true((SSL_get_shutdown(p.ssl) & SSL_RECEIVED_SHUTDOWN) != 0);
	pair_close(&p);
	server_free(&s);
}

/* Garbage after the handshake breaks the connection; what was authenticated stays on record. */
static void test_garbage_when_up(void **state)
{
	struct fixture *f = *state;
	struct server s;
	struct pair p;
	struct tls_terms terms = terms_dane(&f->ee);
	server_make(&s, &f->lab, &(struct server_options){0});
	assert_int_equal(handshake(f, &p, &s, &terms, &plain_options), TLS_UP);
	pair_server_write(&p, "250 ok\r\n", 8);
	assert_int_equal(pair_run(&p), TLS_UP);
	assert_int_equal(tls_feed(p.t, SLICE_LIT("220 hello\r\n"), &p.plain), TLS_FAILED);
	assert_true(slice_eq_str(buf_slice(&p.plain), "250 ok\r\n"));
	assert_int_equal(tls_facts(p.t)->reason, REASON_TLS_FAILED);
	assert_true(tls_facts(p.t)->detail[0] != '\0');
	assert_true(tls_facts(p.t)->authenticated);
	assert_true(tls_facts(p.t)->match.present);
	assert_int_equal(tls_write(p.t, SLICE_LIT("QUIT\r\n")), TLS_FAILED);
	pair_close(&p);
	server_free(&s);
}

/* A TLS 1.2 server that asks to renegotiate gets none, and nothing breaks. */
static void test_no_renegotiation(void **state)
{
	struct fixture *f = *state;
	struct server s;
	struct pair p;
	struct tls_terms terms = terms_dane(&f->ee);
	server_make(&s, &f->lab, &(struct server_options){.max = TLS1_2_VERSION});
	assert_int_equal(handshake(f, &p, &s, &terms, &plain_options), TLS_UP);
	assert_int_equal(SSL_renegotiate(p.ssl), 1);
	SSL_do_handshake(p.ssl);
	enum tls_state got = pair_run(&p);
	assert_true(got == TLS_UP || got == TLS_FAILED);
	assert_int_equal(SSL_num_renegotiations(p.ssl), 1); /* it asked, that is all */
	assert_false(SSL_session_reused(p.ssl));
	pair_close(&p);
	server_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_octet_at_a_time),
	    cmocka_unit_test(test_rest),
	    cmocka_unit_test(test_every_split_and_end),
	    cmocka_unit_test(test_every_octet_damaged),
	    cmocka_unit_test(test_garbage),
	    cmocka_unit_test(test_big_data),
	    cmocka_unit_test(test_rest_after_eof),
	    cmocka_unit_test(test_close_notify),
	    cmocka_unit_test(test_garbage_when_up),
	    cmocka_unit_test(test_no_renegotiation),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
