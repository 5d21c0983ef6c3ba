/* SPDX-License-Identifier: MIT */
/* A rollover in words and as JSON. Knows words only. */
#include "cmd/roll.h"

#include <string.h>

/* --- What to do --- */

static void print_records(const struct roll_job *j, const struct roll_records *r)
{
	struct arena mem;
	arena_init(&mem, TLSA_MEM_MAX);
	for (size_t i = 0; i < r->n; i++)
		say(stdout, "    %s. %u IN TLSA %s\n", j->owner, j->ttl,
		    tlsa_to_text(&mem, &r->rr[i]));
	arena_free(&mem);
}

static void print_put_in(const struct roll_job *j, bool would)
{
	if (j->hook != NULL)
		say(stdout, "  %s %s\n", would ? "would run" : "running", j->hook);
	else
		say(stdout,
		    "  put the new certificate into service on %s now, at every address, and run "
		    "this again\n",
		    j->host);
}

void roll_print_act(const struct roll_job *j, enum roll_act act, bool would)
{
	const char *by = j->nsupdate ? (would ? "would be" : "being") : "have to be";
	switch (act) {
	case ROLL_NOTHING:
		return;
	case ROLL_MAKE_KEY:
		say(stdout, "  %s a new key in %s\n", would ? "would make" : "making",
		    j->key_file != NULL ? j->key_file : "?");
		return;
	case ROLL_ADD:
		say(stdout, "  these records %s published, all of them together:\n", by);
		print_records(j, &j->old);
		print_records(j, &j->new);
		return;
	case ROLL_PUT_IN:
		print_put_in(j, would);
		return;
	case ROLL_DROP_OLD:
		say(stdout, "  these records %s taken out:\n", by);
		print_records(j, &j->old);
		return;
	case ROLL_DROP_NEW:
		say(stdout, "  these records %s taken out:\n", by);
		print_records(j, &j->new);
		return;
	}
}

/* --- How it stands --- */

static enum tone tone_of(enum roll_stance s)
{
	switch (s) {
	case ROLL_GOES:
	case ROLL_OVER:
		return TONE_GOOD;
	case ROLL_WAITS:
		return TONE_WARN;
	case ROLL_BLOCKED:
	case ROLL_UNKNOWN:
		return TONE_BAD;
	}
	return TONE_BAD;
}

void roll_print_move(const struct roll_job *j, const struct roll_move *m, const struct roll_look *l)
{
	struct style st = style_of(stdout);
	char now[TIME_TEXT_MAX], until[TIME_TEXT_MAX];
	const char *cure = roll_why_cure(m->why);
	enum roll_stance stance = roll_why_stance(m->why);
	time_to_text(l->facts.now, now);
	say(stdout, "%s  %s%s%s: ", now, tone_on(&st, tone_of(stance)),
	    roll_state_name(m->next.state), tone_off(&st));
	if (m->why == ROLL_WHY_STEP)
		say(stdout, "%s\n", roll_state_text(m->next.state));
	else
		say(stdout, "%s\n", roll_why_text(m->why));
	if (m->next.until > l->facts.now) {
		time_to_text(m->next.until, until);
		say(stdout, "  not before %s\n", until);
	}
	if (l->trouble != NULL && stance == ROLL_UNKNOWN)
		say(stdout, "  %s\n", l->trouble);
	if (cure[0] != '\0' && (stance == ROLL_BLOCKED || stance == ROLL_UNKNOWN || !j->nsupdate))
		say(stdout, "  what to do: %s\n", cure);
}

static void set_time(struct json *j, const char *key, int64_t t)
{
	char text[TIME_TEXT_MAX];
	if (t != 0)
		time_to_text(t, text);
	json_set_str(j, key, t != 0 ? text : NULL);
}

static void set_records(struct json *j, const char *key, const struct roll_records *r)
{
	struct arena mem;
	arena_init(&mem, TLSA_MEM_MAX);
	struct json *list = json_set(j, key, json_array());
	for (size_t i = 0; i < r->n; i++)
		json_append_str(list, tlsa_to_text(&mem, &r->rr[i]));
	arena_free(&mem);
}

static const char *act_name(enum roll_act a)
{
	static const char *const names[] = {
	    [ROLL_NOTHING] = NULL,    [ROLL_MAKE_KEY] = "make-key", [ROLL_ADD] = "publish",
	    [ROLL_PUT_IN] = "deploy", [ROLL_DROP_OLD] = "retire",   [ROLL_DROP_NEW] = "withdraw"};
	return names[a];
}

bool roll_print_json(const struct roll_job *job, const struct roll_move *m,
		     const struct roll_look *l)
{
	const struct roll_facts *f = &l->facts;
	struct json *j = json_object();
	json_set_int(j, "version", 1);
	set_time(j, "at", f->now);
	json_set_str(j, "host", job->host);
	json_set_int(j, "port", job->port);
	json_set_str(j, "name", job->owner);
	json_set_int(j, "ttl", job->ttl);
	json_set_str(j, "state", roll_state_name(m->next.state));
	json_set_str(j, "reason", roll_why_name(m->why));
	bool by_hand = roll_is_by_hand(job, m->act);
	json_set_str(j, "stance", roll_stance_name(by_hand ? ROLL_BLOCKED : m->stance));
	json_set_str(j, "explain", roll_why_text(m->why));
	json_set_str(j, "cure", roll_why_cure(m->why));
	json_set_str(j, "act", act_name(m->act));
	set_time(j, "until", m->next.until);
	set_records(j, "old", &job->old);
	set_records(j, "new", &job->new);
	struct json *s = json_set(j, "seen", json_object());
	json_set_int(s, "name_servers", f->servers);
	json_set_int(s, "name_servers_failed", f->servers_failed);
	json_set_int(s, "name_servers_with_old", f->servers_old);
	json_set_int(s, "name_servers_with_new", f->servers_new);
	json_set_int(s, "addresses", f->addresses);
	json_set_int(s, "addresses_unreached", f->unreached);
	json_set_int(s, "addresses_with_new", f->on_new);
	json_set_int(s, "chains_that_need_old", f->need_old);
	json_set_int(s, "chains_that_need_new", f->need_new);
	json_set_str(s, "trouble", l->trouble);
	bool ok = json_write_line(j, stdout);
	json_free(&j);
	return ok;
}

void roll_print_plan(const struct roll_job *j)
{
	say(stdout, "rollover for %s port %u\n", j->host, j->port);
	if (j->new.n > 0)
		say(stdout, "  new:\n");
	else
		say(stdout, "  new: a key in %s (%s)\n", j->key_file != NULL ? j->key_file : "?",
		    tls_key_type_name(j->key_type));
	print_records(j, &j->new);
	if (j->old.n > 0)
		say(stdout, "  to be retired in the end:\n");
	else
		say(stdout, "  no record will be retired\n");
	print_records(j, &j->old);
}
