/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a server's connection: every split and every end of a handshake, damage and garbage,
 * more data than room, the ways to close.
 */
#include "test_tls_serve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

struct fixture {
	struct lab lab;
	struct pem pem[2];
	struct tls_server *server;
	int64_t now;
};

static int setup(void **state)
{
	static struct fixture f;
	char error[256] = "";
	lab_make(&f.lab);
	f.now = (int64_t)time(NULL);
	pem_make(&f.pem[0], &f.lab, f.lab.ec_key, "ec", "DNS:a.example.org", f.now - LAB_DAY,
		 f.now + LAB_DAY);
	pem_make(&f.pem[1], &f.lab, f.lab.rsa_key, "rsa", "DNS:a.example.org", f.now - LAB_DAY,
		 f.now + LAB_DAY);
	struct tls_server_cert cert[] = {pem_cert(&f.pem[0]), pem_cert(&f.pem[1])};
	f.server = tls_server_new(&(struct tls_server_config){.cert = cert, .ncert = 2}, f.now,
				  error, sizeof(error));
	if (f.server == NULL)
		fail_msg("%s", error);
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

static struct tlss *accept_one(struct fixture *f)
{
	char error[256] = "";
	struct tlss *t = tlss_accept(f->server, f->now, error, sizeof(error));
	if (t == NULL)
		fail_msg("%s", error);
	return t;
}

static void open_peer(struct peer *p, int version)
{
	peer_open(p, &(struct peer_options){.sni = "a.example.org", .max = version});
}

static const int versions[] = {0, TLS1_2_VERSION};

static void test_one_octet_at_a_time(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 2; i++) {
		struct peer p;
		struct buf plain;
		struct tlss *t = accept_one(f);
		buf_init(&plain, 100);
		open_peer(&p, versions[i]);
		assert_int_equal(peer_run(&p, t, &plain, 1), TLS_UP);
		assert_int_equal(tlss_write(t, SLICE_LIT("220 a\r\n")), TLS_UP);
		assert_int_equal(SSL_write(p.ssl, "EHLO b\r\n", 8), 8);
		assert_int_equal(peer_run(&p, t, &plain, 1), TLS_UP);
		assert_true(slice_eq_str(buf_slice(&plain), "EHLO b\r\n"));
		assert_true(slice_eq_str(buf_slice(&p.got), "220 a\r\n"));
		peer_close(&p);
		tlss_free(&t);
		buf_free(&plain);
	}
}

/* The client's octets until it is content, cut once: at `at` they end, or go on. */
static void cut(struct fixture *f, int version, size_t at, bool ends, size_t *length)
{
	struct peer p;
	struct buf sent;
	struct tlss *t = accept_one(f);
	size_t total = 0;
	open_peer(&p, version);
	for (int flight = 0; flight < 2; flight++) {
		peer_output(&p, &sent);
		struct slice s = buf_slice(&sent),
			     head = slice_first(s, at > total ? at - total : 0);
		bool here = at < total + s.n && at >= total;
		tlss_feed(t, here ? head : s, NULL);
		total += s.n;
		if (here && ends) {
			assert_int_equal(tlss_state(t), TLS_HANDSHAKING);
			assert_int_equal(tlss_feed_eof(t), TLS_FAILED);
			assert_string_equal(tlss_facts(t)->detail,
					    "peer closed during the handshake");
			assert_int_equal(tlss_feed(t, slice_from(s, head.n), NULL), TLS_FAILED);
			buf_free(&sent);
			break;
		}
		if (here)
			tlss_feed(t, slice_from(s, head.n), NULL);
		buf_reset(&sent);
		tlss_pending(t, &sent);
		BIO_write(p.in, buf_slice(&sent).p, (int)buf_len(&sent));
		buf_free(&sent);
	}
	if (!ends || at >= total)
		assert_int_equal(tlss_state(t), TLS_UP);
	*length = total;
	peer_close(&p);
	tlss_free(&t);
}

static void test_every_split_and_end(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 2; i++) {
		size_t length = 0;
		cut(f, versions[i], SIZE_MAX, false, &length);
		size_t all = length;
		for (size_t at = 0; at < all; at++) {
			cut(f, versions[i], at, false, &length);
			cut(f, versions[i], at, true, &all);
			all = length;
		}
		print_message("%zu octets\n", length);
		assert_true(length > 200);
	}
}

/* A changed bit in the ClientHello may change what is offered, but either both ends agree or there
 * is no handshake: the transcript is in the Finished message. */
static void test_every_octet_damaged(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 2; i++) {
		size_t length = 1, up = 0;
		for (size_t at = 0; at < length; at++) {
			struct peer p;
			struct buf b;
			struct tlss *t = accept_one(f);
			open_peer(&p, versions[i]);
			peer_output(&p, &b);
			length = buf_len(&b);
			b.p[b.start + at] ^= (uint8_t)(1u << (at % 8));
			tlss_feed(t, buf_slice(&b), NULL);
			if (peer_run(&p, t, NULL, 0) == TLS_UP)
				up++;
			buf_free(&b);
			peer_close(&p);
			tlss_free(&t);
		}
		print_message("damage: %zu octets, %zu without effect\n", length, up);
		assert_true(up <= 5); /* the record header's version */
	}
}

static void test_garbage(void **state)
{
	static const struct {
		const char *p;
		size_t n;
		const char *detail; /* "": OpenSSL's releases say different things */
	} row[] = {
	    {"EHLO client.example.org\r\n", 25, ""},
	    {"MAIL FROM:<a@b.test>\r\n", 22, ""},
	    {"GET / HTTP/1.0\r\n\r\n", 18, "http request"},
	    {"CONNECT a:25 HTTP/1.0\r\n\r\n", 25, "https proxy request"},
	    {"\x16\x03\x01\xff\xff\x01\x00", 7, ""},
	    {"\x15\x03\x01\x00\x02\x02\x28", 7, "unexpected message"},
	    {"\x17\x03\x03\x00\x01x", 6, ""},
	    {"\x16\x03\x01\x00\x04\x02\x00\x00\x00", 9, "unexpected message"},
	    {"\x16\x03\x01\x00\x04\x01\x00\x00\x00", 9, "length too short"},
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct tlss *t = accept_one(f);
		struct buf out;
		buf_init(&out, 1000);
		enum tls_state s = tlss_feed(t, slice_make(row[i].p, row[i].n), NULL);
		if (s != TLS_FAILED || strstr(tlss_facts(t)->detail, row[i].detail) == NULL)
			fail_msg("row %zu: %d '%s'", i, s, tlss_facts(t)->detail);
		assert_true(tlss_facts(t)->detail[0] != '\0');
		assert_string_equal(tlss_facts(t)->version, "");
		tlss_pending(t, &out); /* an alert, or nothing */
		assert_true(buf_len(&out) < 64);
		assert_int_equal(tlss_feed(t, SLICE_LIT("more"), NULL), TLS_FAILED);
		assert_int_equal(tlss_write(t, SLICE_LIT("more")), TLS_FAILED);
		assert_int_equal(tlss_feed_eof(t), TLS_FAILED);
		tlss_shutdown(t);
		tlss_free(&t);
		assert_null(t);
		tlss_free(&t);
		buf_free(&out);
	}
}

/* More plaintext than room waits inside; nothing is lost. */
static void test_little_room(void **state)
{
	struct fixture *f = *state;
	struct peer p;
	struct buf plain, data;
	char block[5000];
	struct tlss *t = accept_one(f);
	size_t got = 0;
	memset(block, 'x', sizeof(block));
	open_peer(&p, 0);
	assert_int_equal(peer_run(&p, t, NULL, 0), TLS_UP);
	for (int i = 0; i < 20; i++)
		assert_int_equal(SSL_write(p.ssl, block, sizeof(block)), sizeof(block));
	SSL_shutdown(p.ssl);
	peer_output(&p, &data);
	buf_init(&plain, 1000);
	tlss_feed(t, buf_slice(&data), &plain);
	for (int i = 0; i < 1000 && tlss_state(t) == TLS_UP; i++) {
		got += buf_len(&plain);
		buf_consume(&plain, buf_len(&plain));
		tlss_feed(t, (struct slice){0}, &plain);
	}
	got += buf_len(&plain);
	assert_int_equal(got, 20 * sizeof(block));
	assert_int_equal(tlss_state(t), TLS_CLOSED);
	assert_int_equal(tlss_write(t, SLICE_LIT("late")), TLS_CLOSED);
	buf_free(&plain);
	buf_free(&data);
	peer_close(&p);
	tlss_free(&t);
}

/* An end without close_notify: what came before it can still be had. */
static void test_eof(void **state)
{
	struct fixture *f = *state;
	struct peer p;
	struct buf plain, data;
	struct tlss *t = accept_one(f);
	open_peer(&p, 0);
	assert_int_equal(peer_run(&p, t, NULL, 0), TLS_UP);
	assert_int_equal(SSL_write(p.ssl, "0123456789", 10), 10);
	peer_output(&p, &data);
	buf_init(&plain, 4);
	tlss_feed(t, buf_slice(&data), &plain);
	assert_int_equal(tlss_feed_eof(t), TLS_CLOSED);
	assert_true(slice_eq_str(buf_slice(&plain), "0123"));
	buf_consume(&plain, 4);
	tlss_feed(t, (struct slice){0}, &plain);
	assert_true(slice_eq_str(buf_slice(&plain), "4567"));
	buf_free(&plain);
	buf_free(&data);
	peer_close(&p);
	tlss_free(&t);
}

static void test_write_too_early(void **state)
{
	struct tlss *t = accept_one(*state);
	assert_int_equal(tlss_write(t, SLICE_LIT("220\r\n")), TLS_FAILED);
	assert_string_equal(tlss_facts(t)->detail, "written before the handshake was done");
	tlss_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_octet_at_a_time), cmocka_unit_test(test_every_split_and_end),
	    cmocka_unit_test(test_every_octet_damaged), cmocka_unit_test(test_garbage),
	    cmocka_unit_test(test_little_room),         cmocka_unit_test(test_eof),
	    cmocka_unit_test(test_write_too_early),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
