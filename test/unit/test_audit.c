/* SPDX-License-Identifier: MIT */
/* audit: records as octets, at every cut and with every octet changed; the chain and who breaks it.
 */
#include "audit/chain.h"
#include "digest/digest.h"

#include "guard.h"
#include "unit.h"

#include <string.h>

enum { ROOM = AUDIT_BODY_MAX };

struct fixture {
	struct buf b;
	struct guard guard;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	buf_init(&f->b, ROOM);
	guard_init(&f->guard, ROOM);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	buf_free(&f->b);
	guard_free(&f->guard);
	free(f);
	return 0;
}

/* --- Samples ---------------------------------------------------------------------------------- */

static const uint8_t data[64] = {1, 2, 3};

static struct audit_record full(void)
{
	struct audit_record r = {.type = AUDIT_ATTEMPT};
	struct audit_attempt *a = &r.attempt;
	*a = (struct audit_attempt){
	    .continuity = CONTINUITY_AUTHORISED_CHANGE,
	    .authority = AUTHORITY_TLSA,
	    .evidence = {[31] = 1},
	    .queue_id = SLICE_LIT("418d9e2dda39cf83"),
	    .delivery = UINT64_MAX,
	    .index = 1,
	    .count = 2,
	    .outcome = SLICE_LIT("ok"),
	    .next_hop = SLICE_LIT("example.org"),
	    .mx_secure = true,
	    .host = SLICE_LIT("mx1.example.org"),
	    .address = SLICE_LIT("2001:db8::1"),
	    .port = 25,
	    .policy = SLICE_LIT("dane"),
	    .base = SLICE_LIT("mx.example.net"),
	    .tlsa = {.total = 3,
		     .n = 2,
		     .entry = {{3, 1, 1, 0, false, slice_make(data, 32)},
			       {2, 0, 0, 1, true, slice_make(data, 32)}}},
	    .match = {true, 3, 1, 1, 0, 0, SLICE_LIT("example.org")},
	    .version = SLICE_LIT("TLSv1.3"),
	    .cipher = SLICE_LIT("TLS_AES_128_GCM_SHA256"),
	    .group = SLICE_LIT("x25519"),
	    .reused = true,
	    .accepted = true,
	    .key = SLICE_LIT("EC P-256"),
	    .chain = {.total = 2, .n = 2, .cert = {{{1}, {2}}, {{3}, {4}}}},
	    .previous = {7},
	    .reason = SLICE_LIT("ok"),
	    .code = SLICE_LIT("2.0.0"),
	    .detail = SLICE_LIT("250 2.0.0 \xc3\xa4"),
	};
	return r;
}

static struct audit_record empty(void)
{
	return (struct audit_record){.type = AUDIT_ATTEMPT, .attempt = {.count = 1}};
}

static struct audit_record override(void)
{
	return (struct audit_record){.type = AUDIT_OVERRIDE,
				     .override = {.set = true,
						  .pattern = SLICE_LIT("*.example.org"),
						  .policy = SLICE_LIT("may"),
						  .expires = -1}};
}

static struct audit_record selfcheck(void)
{
	return (struct audit_record){.type = AUDIT_SELFCHECK,
				     .selfcheck = {.name = SLICE_LIT("mx.example.org"),
						   .finding = SLICE_LIT("stale"),
						   .detail = SLICE_LIT("")}};
}

static struct audit_record checkpoint(void)
{
	return (struct audit_record){.type = AUDIT_CHECKPOINT,
				     .checkpoint = {.upto = 9, .hash = {8}, .before = 1000}};
}

static struct audit_record carried(void)
{
	return (struct audit_record){.type = AUDIT_CARRIED,
				     .carried = {.host = SLICE_LIT("mx.example.org"),
						 .key_type = SLICE_LIT("RSA"),
						 .port = 25,
						 .cert = {1},
						 .key = {2},
						 .authority = AUTHORITY_TLSA,
						 .continuity = CONTINUITY_FIRST_SEEN,
						 .first = 5,
						 .last = 6}};
}

static struct audit_record forgotten(void)
{
	return (struct audit_record){.type = AUDIT_FORGOTTEN, .forgotten = {.before = 7}};
}

static struct audit_record (*const samples[])(void) = {full,       empty,   override, selfcheck,
						       checkpoint, carried, forgotten};

/* --- Octets ----------------------------------------------------------------------------------- */

static void what_was_put_comes_out(void **state)
{
	struct fixture *f = *state;
	struct audit_record want = full(), got;
	assert_true(audit_encode(&want, &f->b));
	assert_int_equal(audit_decode(buf_slice(&f->b), &got), AUDIT_OK);
	const struct audit_attempt *a = &got.attempt, *w = &want.attempt;
	assert_int_equal(got.type, AUDIT_ATTEMPT);
	assert_true(a->continuity == w->continuity && a->authority == w->authority);
	assert_memory_equal(a->evidence, w->evidence, AUDIT_DIGEST);
	assert_true(slice_eq(a->queue_id, w->queue_id) && a->delivery == w->delivery);
	assert_true(a->index == 1 && a->count == 2 && a->port == 25 && a->mx_secure);
	assert_true(slice_eq(a->host, w->host) && slice_eq(a->address, w->address));
	assert_true(slice_eq(a->base, w->base) && slice_eq(a->policy, w->policy));
	assert_true(a->tlsa.total == 3 && a->tlsa.n == 2 && a->tlsa.entry[1].hashed);
	assert_true(slice_eq(a->tlsa.entry[0].data, w->tlsa.entry[0].data));
	assert_true(a->match.present && slice_eq(a->match.name, w->match.name));
	assert_true(a->reused && !a->resumed && a->accepted && !a->clear_fallback);
	assert_true(a->chain.n == 2 && a->chain.cert[1].spki_sha256[0] == 4);
	assert_int_equal(a->previous[0], 7);
	assert_true(slice_eq(a->detail, w->detail));
}

/* One record has one encoding: whatever is taken is put again as it was. */
static bool again(struct slice body)
{
	struct audit_record r;
	struct buf b;
	if (audit_decode(body, &r) != AUDIT_OK)
		return true;
	buf_init(&b, ROOM);
	bool same = audit_encode(&r, &b) && slice_eq(buf_slice(&b), body);
	buf_free(&b);
	return same;
}

static void every_cut_is_refused(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < ROWS(samples); i++) {
		struct audit_record r = samples[i](), got;
		buf_reset(&f->b);
		assert_true(audit_encode(&r, &f->b));
		struct slice whole = buf_slice(&f->b);
		assert_int_equal(audit_decode(guard_put(&f->guard, whole), &got), AUDIT_OK);
		for (size_t n = 0; n < whole.n; n++) {
			struct slice cut = guard_put(&f->guard, slice_first(whole, n));
			assert_int_equal(audit_decode(cut, &got), AUDIT_BROKEN);
		}
		buf_add_u8(&f->b, 0);
		assert_int_equal(audit_decode(guard_put(&f->guard, buf_slice(&f->b)), &got),
				 AUDIT_BROKEN);
	}
}

static void every_changed_octet_is_survived(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < ROWS(samples); i++) {
		struct audit_record r = samples[i]();
		buf_reset(&f->b);
		assert_true(audit_encode(&r, &f->b));
		for (size_t n = 0; n < buf_len(&f->b); n++) {
			uint8_t *octet = f->b.p + f->b.start + n, before = *octet;
			for (unsigned v = 0; v < 256; v++) {
				*octet = (uint8_t)v;
				assert_true(again(guard_put(&f->guard, buf_slice(&f->b))));
			}
			*octet = before;
		}
	}
}

static void a_newer_form_is_named_as_such(void **state)
{
	(void)state;
	struct audit_record r;
	assert_int_equal(audit_decode(slice_make("\x02\x01", 2), &r), AUDIT_NEWER);
	assert_int_equal(audit_decode(slice_make("\x01\x07", 2), &r), AUDIT_NEWER);
	assert_int_equal(audit_decode(slice_make("\x01\x00", 2), &r), AUDIT_NEWER);
	assert_int_equal(audit_decode(slice_make("\x01", 1), &r), AUDIT_BROKEN);
}

static void what_does_not_fit_is_not_put(void **state)
{
	struct fixture *f = *state;
	char text[300];
	memset(text, 'a', sizeof(text));
	struct audit_record r[] = {full(), full(), full(), full(), full(), full()};
	r[0].attempt.host = slice_make(text, AUDIT_TEXT_MAX + 1);
	r[1].attempt.host = SLICE_LIT("a\nb");
	r[2].attempt.index = 2;
	r[3].attempt.tlsa.n = AUDIT_TLSA_MAX + 1;
	r[4].attempt.chain.total = 1;
	r[5].attempt.tlsa.entry[0].data = slice_make(text, AUDIT_TLSA_DATA + 1);
	for (size_t i = 0; i < ROWS(r); i++) {
		buf_reset(&f->b);
		assert_false(audit_encode(&r[i], &f->b));
	}
	struct audit_record most = full();
	most.attempt.host = slice_make(text, AUDIT_TEXT_MAX);
	buf_reset(&f->b);
	assert_true(audit_encode(&most, &f->b));
}

static void texts_are_made_fit(void **state)
{
	(void)state;
	char scratch[AUDIT_TEXT_MAX + 1], text[AUDIT_TEXT_MAX + 10];
	assert_true(slice_eq_str(audit_text("mx.example.org", scratch), "mx.example.org"));
	assert_true(slice_eq_str(audit_text("a\r\nb\x7f", scratch), "a??b?"));
	assert_int_equal(audit_text(NULL, scratch).n, 0);
	memset(text, 'a', sizeof(text));
	memcpy(text + AUDIT_TEXT_MAX - 1, "\xc3\xa4", 3); /* the cut would be inside of it */
	text[AUDIT_TEXT_MAX + 1] = 'a';
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(audit_text(text, scratch).n, AUDIT_TEXT_MAX - 1);
}

/* --- The chain -------------------------------------------------------------------------------- */

enum { LINKS = 8 };

struct links {
	struct audit_link link[LINKS];
	uint8_t body[LINKS][80];
};

static void make_links(struct links *c, const struct audit_head *start)
{
	struct audit_head last = *start;
	for (size_t i = 0; i < LINKS; i++) {
		snprintf((char *)c->body[i], sizeof(c->body[i]), "body of %zu", i);
		c->link[i] = (struct audit_link){.time = 1000 + (int64_t)i,
						 .body = slice_make(c->body[i], 10)};
		audit_link_next(digest_sha256, &last, &c->link[i]);
		last.n = c->link[i].n;
		memcpy(last.hash, c->link[i].hash, AUDIT_DIGEST);
	}
}

/* The first record that is broken, 0: none. */
static uint64_t broken(const struct audit_link *l, size_t n, const struct audit_head *start,
		       const struct audit_head *head)
{
	struct audit_verify v;
	audit_verify_begin(&v, digest_sha256, start, head, head != NULL ? 1 : 0);
	for (size_t i = 0; i < n && audit_verify_link(&v, &l[i]); i++)
		;
	bool ok = audit_verify_end(&v);
	assert_int_equal(ok, v.broken == 0);
	assert_int_equal(ok, v.why == NULL);
	return v.broken;
}

static const struct audit_head origin;

/* hash(1) of a body "abc" at time 2, computed by other means:
 * printf '%064x%016x%016x616263' 0 1 2 | xxd -r -p | sha256sum */
static void the_rule_is_the_documented_one(void **state)
{
	(void)state;
	char hex[2 * AUDIT_DIGEST + 1];
	struct audit_link l = {.time = 2, .body = SLICE_LIT("abc")};
	audit_link_next(digest_sha256, &origin, &l);
	hex_encode(slice_make(l.hash, AUDIT_DIGEST), hex);
	assert_int_equal(l.n, 1);
	assert_string_equal(hex,
			    "1c856b9c0b7c273c5b996168902a18364abc96861dd587e0fe33e3e78beee6ff");
}

static void an_untouched_chain_holds(void **state)
{
	(void)state;
	struct links c;
	make_links(&c, &origin);
	struct audit_head head = {.n = LINKS};
	memcpy(head.hash, c.link[LINKS - 1].hash, AUDIT_DIGEST);
	assert_int_equal(broken(c.link, LINKS, &origin, NULL), 0);
	assert_int_equal(broken(c.link, LINKS, &origin, &head), 0);
	assert_int_equal(broken(NULL, 0, &origin, NULL), 0);
}

static void any_change_is_found_where_it_is(void **state)
{
	(void)state;
	for (size_t i = 0; i < LINKS; i++) {
		struct links c;
		make_links(&c, &origin);
		c.body[i][3] ^= 1;
		assert_int_equal(broken(c.link, LINKS, &origin, NULL), i + 1);
		make_links(&c, &origin);
		c.link[i].time++;
		assert_int_equal(broken(c.link, LINKS, &origin, NULL), i + 1);
		make_links(&c, &origin);
		c.link[i].hash[31] ^= 0x80;
		assert_int_equal(broken(c.link, LINKS, &origin, NULL), i + 1);
		make_links(&c, &origin);
		c.link[i].body.n--;
		assert_int_equal(broken(c.link, LINKS, &origin, NULL), i + 1);
	}
}

static void a_missing_record_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i + 1 < LINKS; i++) {
		struct links c;
		make_links(&c, &origin);
		memmove(&c.link[i], &c.link[i + 1], (LINKS - i - 1) * sizeof(c.link[0]));
		assert_int_equal(broken(c.link, LINKS - 1, &origin, NULL), i + 1);
	}
}

static void swapped_bodies_are_found(void **state)
{
	(void)state;
	struct links c;
	make_links(&c, &origin);
	struct slice body = c.link[3].body;
	c.link[3].body = c.link[4].body;
	c.link[4].body = body;
	assert_int_equal(broken(c.link, LINKS, &origin, NULL), 4);
	make_links(&c, &origin);
	struct audit_link l = c.link[3];
	c.link[3] = c.link[4];
	c.link[4] = l;
	assert_int_equal(broken(c.link, LINKS, &origin, NULL), 4);
}

/* Whoever writes all hashes anew has another head; whoever cuts the end off has none. */
static void the_head_gives_a_new_or_shorter_chain_away(void **state)
{
	(void)state;
	struct links c, forged;
	make_links(&c, &origin);
	struct audit_head head = {.n = LINKS};
	memcpy(head.hash, c.link[LINKS - 1].hash, AUDIT_DIGEST);
	for (size_t n = 0; n < LINKS; n++)
		assert_int_equal(broken(c.link, n, &origin, &head), n + 1);
	make_links(&forged, &origin);
	forged.body[2][0] = 'B';
	struct audit_head last = origin;
	for (size_t i = 0; i < LINKS; i++) {
		audit_link_next(digest_sha256, &last, &forged.link[i]);
		last.n = forged.link[i].n;
		memcpy(last.hash, forged.link[i].hash, AUDIT_DIGEST);
	}
	assert_int_equal(broken(forged.link, LINKS, &origin, NULL), 0);
	assert_int_equal(broken(forged.link, LINKS, &origin, &head), LINKS);
	/* A head from the middle: the chain may have grown since. */
	head.n = 4;
	memcpy(head.hash, c.link[3].hash, AUDIT_DIGEST);
	assert_int_equal(broken(c.link, LINKS, &origin, &head), 0);
	assert_int_equal(broken(forged.link, LINKS, &origin, &head), 4);
}

static void removal_by_age_needs_a_checkpoint(void **state)
{
	struct fixture *f = *state;
	struct links c;
	make_links(&c, &origin);
	struct audit_head start = {.n = 3};
	memcpy(start.hash, c.link[2].hash, AUDIT_DIGEST);
	assert_int_equal(broken(&c.link[3], LINKS - 3, &start, NULL), 3);
	struct audit_record r = {.type = AUDIT_CHECKPOINT, .checkpoint = {.upto = 3}};
	memcpy(r.checkpoint.hash, start.hash, AUDIT_DIGEST);
	assert_true(audit_encode(&r, &f->b));
	struct audit_head last = {.n = LINKS - 1};
	memcpy(last.hash, c.link[LINKS - 2].hash, AUDIT_DIGEST);
	c.link[LINKS - 1].body = buf_slice(&f->b);
	audit_link_next(digest_sha256, &last, &c.link[LINKS - 1]);
	assert_int_equal(broken(&c.link[3], LINKS - 3, &start, NULL), 0);
	/* It signs off three records and no fourth. */
	start.n = 4;
	memcpy(start.hash, c.link[3].hash, AUDIT_DIGEST);
	assert_int_equal(broken(&c.link[4], LINKS - 4, &start, NULL), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_was_put_comes_out, setup, teardown),
	    cmocka_unit_test_setup_teardown(every_cut_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(every_changed_octet_is_survived, setup, teardown),
	    cmocka_unit_test(a_newer_form_is_named_as_such),
	    cmocka_unit_test_setup_teardown(what_does_not_fit_is_not_put, setup, teardown),
	    cmocka_unit_test(texts_are_made_fit),
	    cmocka_unit_test(the_rule_is_the_documented_one),
	    cmocka_unit_test(an_untouched_chain_holds),
	    cmocka_unit_test(any_change_is_found_where_it_is),
	    cmocka_unit_test(a_missing_record_is_named),
	    cmocka_unit_test(swapped_bodies_are_found),
	    cmocka_unit_test(the_head_gives_a_new_or_shorter_chain_away),
	    cmocka_unit_test_setup_teardown(removal_by_age_needs_a_checkpoint, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
