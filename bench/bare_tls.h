/* SPDX-License-Identifier: MIT */
/*
 * bench: the peer of the engine's sessions: what a program pays that does the same exchange with
 * OpenSSL and nothing else. Blocking sockets, one connection at a time, no resumption; no timeouts,
 * no parser worth the name, no reasons, no facts.
 */
#ifndef BENCH_BARE_TLS_H
#define BENCH_BARE_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum bare_mode {
	BARE_CLEAR, /* greeting, EHLO, QUIT */
	BARE_TLS,   /* greeting, EHLO, STARTTLS, handshake, EHLO, QUIT; nothing is verified */
	BARE_DANE,  /* the same, verified by SSL_dane_*() */
	BARE_AHEAD, /* as BARE_TLS, reading as much as there is (SSL_CTX_set_read_ahead) */
};

struct bare_record {
	uint8_t usage, selector, mtype;
	const uint8_t *data;
	size_t n;
};

struct bare_target {
	struct sockaddr_storage to;
	socklen_t length;
	const char *helo;
	const char *name; /* SNI, and the base domain for DANE */
	const struct bare_record *record;
	size_t nrecord;
};

struct bare;
struct bare *bare_new(void); /* NULL: OpenSSL's words are on standard error */
void bare_free(struct bare **b);
/* One whole session. false: it broke, and standard error says where. */
bool bare_session(struct bare *b, const struct bare_target *t, enum bare_mode mode);

#endif
