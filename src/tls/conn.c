/* SPDX-License-Identifier: MIT */
/*
 * One TLS client connection over memory (flow.c): bytes in, bytes out, and a state.
 *
 * The one way into TLS_UP is conn_up(): it asks again whether the terms are met, after OpenSSL's
 * own verification. Knows OpenSSL's handshake and sessions. Refuses to know sockets, SMTP and why
 * the terms are what they are.
 */
#include "tls/room.h"

#include <openssl/err.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What tls_facts() shows and completes on the first call; apart so that a const connection can. */
struct report {
	struct arena mem;
	struct tls_terms terms; /* a copy */
	struct tls_facts facts;
	struct chain_check check;
	bool chain_done;
};

struct tls_conn {
	struct tls_client *client;
	struct tls_flow flow;
	bool keep_der;
	bool resumable; /* key is set; sessions may be kept and used */
	struct tls_terms_key key;
	SSL_SESSION *early;         /* came before TLS_UP: kept only once the terms are met */
	bool offered;               /* a session was offered */
	struct session_proof proof; /* offered: of that session; TLS_UP: of this connection */
	struct report report[1];
};

/* --- The client --- */

static int on_verify(X509_STORE_CTX *ctx, void *arg);
static int on_session(SSL *ssl, SSL_SESSION *s);

struct tls_client *tls_client_new(const struct tls_client_config *c, char *error, size_t room)
{
	struct tls_client *t = calloc(1, sizeof(*t));
	if (t == NULL) {
		snprintf(error, room, "out of memory");
		return NULL;
	}
	t->offset_s = c->verify_offset_s;
	if (!tls_lean_open(&t->lean)) {
		tls_openssl_error("cannot set OpenSSL up", error, room);
		tls_client_free(&t);
		return NULL;
	}
	t->ctx = tls_context_new(t->lean.library, c->sigalgs, error, room);
	if (t->ctx == NULL) {
		tls_client_free(&t);
		return NULL;
	}
	SSL_CTX_set_cert_verify_callback(t->ctx, on_verify, NULL);
	if (c->sessions_max == 0)
		return t;
	t->sessions = tls_sessions_new(c->sessions_max);
	if (t->sessions == NULL) {
		snprintf(error, room, "out of memory");
		tls_client_free(&t);
		return NULL;
	}
	SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(t->ctx, on_session);
	return t;
}

void tls_client_free(struct tls_client **c)
{
	if (*c == NULL)
		return;
	tls_sessions_free(&(*c)->sessions);
	SSL_CTX_free((*c)->ctx);
	X509_STORE_free((*c)->cas);
	tls_lean_close(&(*c)->lean);
	free(*c);
	*c = NULL;
}

/* --- States --- */

static enum tls_state conn_fail(struct tls_conn *t, enum reason reason, const char *detail)
{
	struct tls_facts *f = &t->report->facts;
	/* What breaks after TLS_UP takes nothing back: what came before was authenticated. */
	if (t->flow.state == TLS_HANDSHAKING) {
		f->authenticated = false;
		f->match = (struct tls_match){0};
	}
	t->flow.state = TLS_FAILED;
	f->reason = reason;
	f->detail = arena_strdup(&t->report->mem, detail);
	if (f->detail == NULL)
		f->detail = "";
	tls_facts_protocol(t->flow.b.ssl, f);
	/* A server that chokes on its own ticket must not choke for ever. */
	if (t->offered)
		tls_sessions_drop(t->client->sessions, &t->key);
	SSL_SESSION_free(t->early);
	t->early = NULL;
	return t->flow.state;
}

static void show_x509(struct tls_facts *f, const struct chain_check *k)
{
	f->x509_error = k->error;
	f->x509_depth = k->depth;
	f->x509_text = X509_verify_cert_error_string(k->error);
}

static enum tls_state conn_refuse_chain(struct tls_conn *t)
{
	struct report *r = t->report;
	show_x509(&r->facts, &r->check);
	enum reason reason = tls_verdict_reason(&r->check, &r->terms);
	return conn_fail(t, reason, tls_verdict_detail(&r->mem, reason, &r->check, &r->terms));
}

static enum tls_state conn_break(struct tls_conn *t, const char *otherwise)
{
	const char *reason = tls_openssl_reason();
	if (t->report->check.ran && t->report->check.error != X509_V_OK)
		return conn_refuse_chain(t);
	return conn_fail(t, REASON_TLS_FAILED, reason != NULL ? reason : otherwise);
}

static enum tls_state conn_end(void *conn, enum tls_flow_end end, const char *what)
{
	switch (end) {
	case FLOW_BROKEN:
		return conn_break(conn, what);
	case FLOW_EOF:
		return conn_fail(conn, REASON_TLS_FAILED, what);
	case FLOW_LOCAL:
		break;
	}
	return conn_fail(conn, REASON_LOCAL_ERROR, what);
}

/* A resumed session was verified when it was new, under an equal key (T9): its match is ours. */
static bool inherit_match(struct tls_conn *t, struct tls_match *m)
{
	if (!t->offered || !t->proof.match.present)
		return false;
	*m = t->proof.match;
	m->record =
	    tls_match_index(t->report->terms.tlsa, m->usage, m->selector, m->mtype, t->proof.data);
	return m->record >= 0;
}

static bool prove_match(struct tls_conn *t, struct tls_match *m)
{
	const struct chain_check *k = &t->report->check;
	if (!k->ran || k->error != X509_V_OK || k->served == NULL)
		return false;
	if (!tls_match_found(t->flow.b.ssl, sk_X509_value(k->served, 0), &t->report->terms, m))
		return false;
	t->proof = (struct session_proof){
	    .match = *m,
	    .data = t->report->terms.tlsa->entry[m->record].rr.data,
	    .valid_from = k->valid_from,
	    .valid_until = k->valid_until,
	};
	return true;
}

static bool conn_authenticate(struct tls_conn *t)
{
	struct tls_facts *f = &t->report->facts;
	bool resumed = SSL_session_reused(t->flow.b.ssl) == 1;
	if (SSL_get_verify_result(t->flow.b.ssl) != X509_V_OK)
		return false;
	if (!(resumed ? inherit_match(t, &f->match) : prove_match(t, &f->match)))
		return false;
	f->authenticated = true;
	f->x509_text = X509_verify_cert_error_string(X509_V_OK);
	return true;
}

/* S1: never by resumption, so that the verification of this handshake speaks. */
static bool conn_authenticate_pkix(struct tls_conn *t)
{
	struct tls_facts *f = &t->report->facts;
	const struct chain_check *k = &t->report->check;
	const char *name = tls_pkix_name(t->flow.b.ssl);
	if (SSL_get_verify_result(t->flow.b.ssl) != X509_V_OK ||
	    SSL_session_reused(t->flow.b.ssl) == 1 || !k->ran || k->error != X509_V_OK ||
	    k->served == NULL || name == NULL)
		return false;
	f->match.name = arena_strdup(&t->report->mem, name);
	f->authenticated = f->match.name != NULL;
	f->x509_text = X509_verify_cert_error_string(X509_V_OK);
	return f->authenticated;
}

static bool terms_met(struct tls_conn *t)
{
	switch (t->report->terms.policy) {
	case HOST_DANE:
		return conn_authenticate(t);
	case HOST_PKIX:
		return conn_authenticate_pkix(t);
	case HOST_ENCRYPT:
	case HOST_MAY:
		t->proof.valid_from = INT64_MIN;
		t->proof.valid_until = INT64_MAX;
		return true;
	case HOST_LOCAL:
	case HOST_SKIP:
		return false;
	}
	return false;
}

/* For the next connection, which gets the chain as it was described here. OpenSSL may be about to
 * ask for its errors: whatever a strange certificate leaves there goes. */
static void keep_session(struct tls_conn *t, SSL_SESSION *s)
{
	struct session_proof proof = t->proof;
	ERR_set_mark();
	const struct tls_facts *f = tls_facts(t);
	ERR_pop_to_mark();
	proof.chain = f->chain;
	proof.nchain = f->nchain;
	tls_sessions_put(t->client->sessions, &t->key, s, &proof);
}

static enum tls_state conn_up(void *conn)
{
	struct tls_conn *t = conn;
	struct tls_facts *f = &t->report->facts;
	if (!terms_met(t))
		return conn_fail(t, REASON_LOCAL_ERROR,
				 "the handshake ended without proof of the server's identity");
	t->flow.state = TLS_UP;
	f->reason = REASON_OK;
	f->resumed = SSL_session_reused(t->flow.b.ssl) == 1;
	tls_facts_protocol(t->flow.b.ssl, f);
	if (t->early != NULL) {
		keep_session(t, t->early);
		SSL_SESSION_free(t->early);
		t->early = NULL;
	}
	return t->flow.state;
}

static const struct tls_side client_side = {.up = conn_up, .fail = conn_end};

struct tls_chain *tls_conn_chain(const struct tls_conn *t)
{
	return tls_chain_of(t->report->check.served);
}

/* --- OpenSSL's callbacks --- */

static int on_verify(X509_STORE_CTX *ctx, void *arg)
{
	(void)arg;
	SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_conn *t = SSL_get_app_data(ssl);
	struct chain_check *k = &t->report->check;
	switch (t->report->terms.policy) {
	case HOST_DANE:
		return tls_check_run(k, ctx, ssl);
	case HOST_PKIX:
		return tls_check_run_pkix(k, ctx);
	case HOST_ENCRYPT:
	case HOST_MAY:
		/* Not an authentication and never reported as one: for the audit. */
		return tls_check_keep_served(k, ctx) ? 1 : 0;
	case HOST_LOCAL:
	case HOST_SKIP:
		return 0;
	}
	return 0;
}

/* TLS 1.2: at the end of the handshake. TLS 1.3: with each ticket, after it. 1 keeps a reference.
 */
static int on_session(SSL *ssl, SSL_SESSION *s)
{
	struct tls_conn *t = SSL_get_app_data(ssl);
	if (!t->resumable)
		return 0;
	switch (t->flow.state) {
	case TLS_HANDSHAKING:
		SSL_SESSION_free(t->early);
		t->early = s;
		return 1;
	case TLS_UP:
		keep_session(t, s);
		return 0;
	case TLS_FAILED:
	case TLS_CLOSED:
		return 0;
	}
	return 0;
}

/* --- Making one --- */

static bool copy_set(struct arena *mem, const struct tlsa_set *from, struct tls_terms *to)
{
	struct tlsa_set *set = arena_alloc(mem, sizeof(*set));
	if (set == NULL)
		return false;
	*set = *from;
	set->entry = NULL;
	if (from->n > 0)
		set->entry = arena_array(mem, from->n, sizeof(*set->entry));
	for (size_t i = 0; i < from->n && set->entry != NULL; i++) {
		set->entry[i] = from->entry[i];
		set->entry[i].rr.data = arena_bytes(mem, from->entry[i].rr.data);
	}
	to->tlsa = set;
	return !mem->failed;
}

static bool copy_terms(struct arena *mem, const struct tls_terms *from, struct tls_terms *to)
{
	*to = *from;
	to->tlsa = NULL;
	to->sni = from->sni != NULL ? arena_strdup(mem, from->sni) : NULL;
	if (from->nreference_names > REFERENCE_NAMES_MAX)
		return false;
	for (size_t i = 0; i < from->nreference_names; i++) {
		to->reference_names[i] = arena_strdup(mem, from->reference_names[i]);
		if (to->reference_names[i] == NULL)
			return false;
	}
	if (from->policy == HOST_DANE && from->tlsa != NULL)
		return copy_set(mem, from->tlsa, to);
	return !mem->failed;
}

static bool conn_verification(struct tls_conn *t, char *error, size_t room)
{
	const struct tls_terms *terms = &t->report->terms;
	if (t->client->offset_s != 0)
		X509_VERIFY_PARAM_set_time(SSL_get0_param(t->flow.b.ssl),
					   tls_client_now(t->client));
	switch (terms->policy) {
	case HOST_DANE:
		SSL_set_verify(t->flow.b.ssl, SSL_VERIFY_PEER, NULL);
		return tls_dane_load(t->flow.b.ssl, terms, error, room);
	case HOST_PKIX:
		SSL_set_verify(t->flow.b.ssl, SSL_VERIFY_PEER, NULL);
		return tls_pkix_load(t->client, t->flow.b.ssl, terms, error, room);
	case HOST_ENCRYPT:
	case HOST_MAY:
		SSL_set_verify(t->flow.b.ssl, SSL_VERIFY_NONE, NULL);
		return tls_sni_load(t->flow.b.ssl, terms->sni, error, room);
	case HOST_LOCAL:
	case HOST_SKIP:
		break;
	}
	snprintf(error, room, "a host that TLS is not for");
	return false;
}

/* Resumption is an optimisation: whatever goes wrong here means a full handshake. */
static void conn_offer_session(struct tls_conn *t, const struct tls_options *o)
{
	const struct session_proof *proof = NULL;
	if (t->client->sessions == NULL || o->no_resumption || o->peer == NULL ||
	    t->report->terms.policy == HOST_PKIX)
		return;
	t->resumable = tls_terms_key_make(&t->report->terms, o, &t->key);
	if (!t->resumable)
		return;
	SSL_SESSION *s =
	    tls_sessions_find(t->client->sessions, &t->key, tls_client_now(t->client), &proof);
	if (s == NULL || !tls_proof_copy(&t->report->mem, proof, &t->proof))
		return;
	t->offered = SSL_set_session(t->flow.b.ssl, s) == 1;
}

bool tls_conn_offered_session(const struct tls_conn *t)
{
	return t->offered;
}

void tls_conn_forget_session(struct tls_conn *t)
{
	if (t->resumable)
		tls_sessions_drop(t->client->sessions, &t->key);
}

/* The ClientHello, so that tls_pending() has it at once. */
static bool conn_start(struct tls_conn *t, char *error, size_t room)
{
	SSL_set_connect_state(t->flow.b.ssl);
	if (tls_bytes_handshake(&t->flow.b) == BYTES_MORE)
		return true;
	tls_openssl_error("cannot start the handshake", error, room);
	return false;
}

static bool conn_prepare(struct tls_conn *t, const struct tls_terms *terms,
			 const struct tls_options *o, char *error, size_t room)
{
	if (!copy_terms(&t->report->mem, terms, &t->report->terms)) {
		snprintf(error, room, "the terms are too large or memory ran out");
		return false;
	}
	t->flow.b.ssl = SSL_new(t->client->ctx);
	if (t->flow.b.ssl == NULL || !tls_bytes_open(&t->flow.b) ||
	    SSL_set_app_data(t->flow.b.ssl, t) != 1) {
		tls_openssl_error("cannot make a TLS connection", error, room);
		return false;
	}
	if (!tls_context_restrict(t->flow.b.ssl, terms->policy, o->kind)) {
		tls_openssl_error("cannot set the TLS policy", error, room);
		return false;
	}
	if (!conn_verification(t, error, room))
		return false;
	conn_offer_session(t, o);
	return conn_start(t, error, room);
}

struct tls_conn *tls_connect(struct tls_client *c, const struct tls_terms *terms,
			     const struct tls_options *o, char *error, size_t room)
{
	struct tls_conn *t = calloc(1, sizeof(*t));
	if (t == NULL) {
		snprintf(error, room, "out of memory");
		return NULL;
	}
	arena_init(&t->report->mem, REPORT_BYTES_MAX);
	t->client = c;
	t->flow = (struct tls_flow){.state = TLS_HANDSHAKING, .side = &client_side, .conn = t};
	t->keep_der = o->keep_der;
	t->report->facts = (struct tls_facts){.detail = "",
					      .x509_text = "",
					      .version = "",
					      .cipher = "",
					      .group = "",
					      .reason = REASON_TLS_FAILED};
	if (!conn_prepare(t, terms, o, error, room))
		tls_conn_free(&t);
	return t;
}

void tls_conn_free(struct tls_conn **t)
{
	if (*t == NULL)
		return;
	struct report *r = (*t)->report;
	SSL_SESSION_free((*t)->early);
	SSL_free((*t)->flow.b.ssl);
	tls_check_reset(&r->check);
	arena_free(&r->mem);
	free(*t);
	*t = NULL;
}

/* --- Bytes --- */

enum tls_state tls_feed(struct tls_conn *t, struct slice cipher, struct buf *plain)
{
	return tls_flow_feed(&t->flow, cipher, plain);
}

enum tls_state tls_feed_eof(struct tls_conn *t)
{
	return tls_flow_feed_eof(&t->flow);
}

enum tls_state tls_write(struct tls_conn *t, struct slice plain)
{
	return tls_flow_write(&t->flow, plain);
}

void tls_pending(struct tls_conn *t, struct buf *out)
{
	tls_bytes_pending(&t->flow.b, out);
}

void tls_shutdown(struct tls_conn *t)
{
	tls_flow_shutdown(&t->flow);
}

void tls_rest(struct tls_conn *t)
{
	if (t->flow.state == TLS_UP)
		tls_bytes_rest(&t->flow.b);
}

enum tls_state tls_state(const struct tls_conn *t)
{
	return t->flow.state;
}

const struct tls_facts *tls_facts(const struct tls_conn *t)
{
	struct report *r = unconst(t->report);
	STACK_OF(X509) *served = r->check.served;
	/* A resumed session comes with the chain it was verified with. */
	if (r->facts.resumed && t->proof.nchain > 0) {
		r->facts.chain = t->proof.chain;
		r->facts.nchain = t->proof.nchain;
		r->chain_done = true;
	} else if (served == NULL && t->flow.state != TLS_HANDSHAKING)
		served = SSL_get_peer_cert_chain(t->flow.b.ssl);
	if (served != NULL && !r->chain_done) {
		r->chain_done = true;
		tls_facts_chain(&r->mem, served, &r->facts);
		if (t->keep_der)
			tls_facts_keep_der(&r->mem, served, &r->facts);
	}
	return &r->facts;
}
