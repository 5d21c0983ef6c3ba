/* SPDX-License-Identifier: MIT */
/* Judges a played scene by its `expect` lines. */
#include "scene.h"

#include "fake.h"

#include <string.h>

struct judge {
	const struct show *w;
	char *error;
	size_t room;
	int line;
	const char *text;
};

static bool wrong(struct judge *j, const char *what, const char *got)
{
	snprintf(j->error, j->room, "%s:%d: expect %s: %s %s", j->w->scene->path, j->line, j->text,
		 what, got != NULL ? got : "");
	return false;
}

bool glob_matches(const char *pattern, const char *text)
{
	const char *star = strchr(pattern, '*');
	if (star == NULL)
		return strcmp(pattern, text) == 0;
	size_t head = (size_t)(star - pattern);
	if (strncmp(pattern, text, head) != 0)
		return false;
	for (const char *t = text + head;; t++) {
		if (glob_matches(star + 1, t))
			return true;
		if (*t == '\0')
			return false;
	}
}

static bool is(struct slice word, const char *text)
{
	return slice_eq_str(word, text);
}

static bool glob_is(struct slice pattern, const char *text)
{
	char copy[600];
	snprintf(copy, sizeof(copy), "%.*s", (int)pattern.n, (const char *)pattern.p);
	return text != NULL && glob_matches(copy, text);
}

/* --- Recipients --- */

static const struct attempt_try *decider(const struct show *w, const struct attempt_rcpt *r)
{
	return r->decided_by >= 0 ? attempt_try(w->attempt, (size_t)r->decided_by) : NULL;
}

static bool rcpt_word(struct judge *j, const struct attempt_rcpt *r, struct slice word,
		      struct slice *rest)
{
	struct slice value;
	struct slice key = slice_cut(word, '=', &value);
	const struct attempt_try *t = decider(j->w, r);
	const char *got = NULL;
	if (word.n > 0 && ascii_is_digit(word.p[0])) { /* the code, short for code=... */
		value = word;
		got = r->code;
	} else if (is(key, "reason")) {
		got = reason_name(r->reason);
	} else if (is(key, "code")) {
		got = r->code;
	} else if (is(key, "via")) {
		got = t != NULL ? t->host : "nobody";
	} else if (is(key, "dsn")) {
		got = r->dsn_passed ? "passed" : "ours";
	} else if (is(key, "address")) {
		got = t != NULL && t->address != NULL ? t->address : "none";
	} else if (is(key, "reply")) { /* takes the rest of the line */
		value = slice_make(value.p, (size_t)(rest->p + rest->n - value.p));
		rest->n = 0;
		got = r->reply;
	} else {
		return wrong(j, "unknown word", NULL);
	}
	return glob_is(value, got) || wrong(j, "got", got);
}

static bool check_rcpt(struct judge *j, size_t i, struct slice rest)
{
	const struct attempt_rcpt *r = attempt_rcpt(j->w->attempt, i);
	if (!is(fake_word(&rest), attempt_status_name(r->status)))
		return wrong(j, attempt_status_name(r->status), reason_name(r->reason));
	while (rest.n > 0) {
		struct slice word = fake_word(&rest);
		if (!rcpt_word(j, r, word, &rest))
			return false;
	}
	return true;
}

static bool expect_rcpt(struct judge *j, struct slice who, struct slice rest)
{
	const struct smtpc_message *m = &j->w->scene->message;
	bool all = is(who, "all"), found = false;
	for (size_t i = 0; i < m->nrcpt; i++) {
		struct slice domain;
		struct slice local = slice_cut(slice_str(m->rcpt[i].address), '@', &domain);
		if (!all && !slice_eq(local, who) && !is(who, m->rcpt[i].address))
			continue;
		found = true;
		if (!check_rcpt(j, i, rest))
			return false;
	}
	return found || wrong(j, "no such recipient", NULL);
}

/* --- Questions and connections --- */

static bool was_asked(const struct show *w, struct slice name, struct slice type)
{
	char scratch[16];
	for (size_t i = 0; i < w->nasked; i++) {
		bool same_type = is(type, dns_type_name(w->asked[i].type, scratch));
		if ((same_type || is(type, "*")) && glob_is(name, w->asked[i].name))
			return true;
	}
	return false;
}

static bool expect_asked(struct judge *j, struct slice rest, bool yes)
{
	struct slice name = fake_word(&rest);
	bool asked = was_asked(j->w, name, fake_word(&rest));
	return asked == yes || wrong(j, asked ? "it was asked" : "it was not asked", NULL);
}

static bool expect_connected(struct judge *j, struct slice rest)
{
	const struct show *w = j->w;
	size_t n = 0;
	if (is(slice_trim(rest), "nothing"))
		return w->nseen == 0 || wrong(j, "connected to", w->seen[0].address);
	while (slice_trim(rest).n > 0) {
		struct slice address = fake_word(&rest);
		if (n == w->nseen)
			return wrong(j, "fewer connections", NULL);
		if (!is(address, w->seen[n].address))
			return wrong(j, "connected to", w->seen[n].address);
		n++;
	}
	return n == w->nseen || wrong(j, "also connected to", w->seen[n].address);
}

static bool expect_never_connected(struct judge *j, struct slice rest)
{
	struct slice address = slice_trim(rest);
	for (size_t i = 0; i < j->w->nseen; i++) {
		if (is(address, j->w->seen[i].address))
			return wrong(j, "connected", NULL);
	}
	return true;
}

static bool expect_clear_mail(struct judge *j, bool yes)
{
	bool seen = false;
	for (size_t i = 0; i < j->w->nseen; i++)
		seen = seen || j->w->seen[i].clear_envelope;
	return seen == yes || wrong(j, seen ? "it was in clear" : "it was not", NULL);
}

/* --- The plan --- */

static bool names_are(const struct tls_terms *t, struct slice list)
{
	size_t n = 0;
	while (list.n > 0) {
		struct slice name = slice_cut(list, ',', &list);
		if (n == t->nreference_names || !is(name, t->reference_names[n]))
			return false;
		n++;
	}
	return n == t->nreference_names;
}

static bool host_word(struct judge *j, const struct plan_host *h, struct slice word)
{
	struct slice value;
	struct slice key = slice_cut(word, '=', &value);
	if (is(key, "reason"))
		return is(value, reason_name(h->verdict.reason)) ||
		       wrong(j, "got", reason_name(h->verdict.reason));
	if (is(key, "base"))
		return is(value, h->verdict.base) || wrong(j, "got", h->verdict.base);
	if (is(key, "sni"))
		return is(value, h->terms.sni != NULL ? h->terms.sni : "none") ||
		       wrong(j, "got", h->terms.sni);
	if (is(key, "names"))
		return names_are(&h->terms, value) ||
		       wrong(j, "first", h->terms.reference_names[0]);
	return wrong(j, "unknown word", NULL);
}

static bool expect_host(struct judge *j, struct slice rest)
{
	const struct plan *p = attempt_plan(j->w->attempt);
	struct slice name = fake_word(&rest), policy = fake_word(&rest);
	for (size_t i = 0; i < plan_nhosts(p); i++) {
		const struct plan_host *h = plan_host(p, i);
		if (!is(name, h->name))
			continue;
		if (!h->verdict.decided || !is(policy, host_policy_name(h->verdict.policy)))
			return wrong(j, "got", host_policy_name(h->verdict.policy));
		while (slice_trim(rest).n > 0) {
			if (!host_word(j, h, fake_word(&rest)))
				return false;
		}
		return true;
	}
	return wrong(j, "no such host in the plan", NULL);
}

static bool expect_hosts(struct judge *j, struct slice rest)
{
	const struct plan *p = attempt_plan(j->w->attempt);
	size_t n = 0;
	while (slice_trim(rest).n > 0) {
		struct slice name = fake_word(&rest);
		if (n == plan_nhosts(p) || !is(name, plan_host(p, n)->name))
			return wrong(j, "differs at",
				     n < plan_nhosts(p) ? plan_host(p, n)->name : "end");
		n++;
	}
	return n == plan_nhosts(p) || wrong(j, "also", plan_host(p, n)->name);
}

/* --- Tries --- */

static bool try_word(struct judge *j, const struct attempt_try *t, struct slice word,
		     struct slice *rest)
{
	struct slice value;
	struct slice key = slice_cut(word, '=', &value);
	const char *got = "";
	if (is(key, "host"))
		got = t->host;
	else if (is(key, "address"))
		got = t->address != NULL ? t->address : "none";
	else if (is(key, "reason"))
		got = reason_name(t->reason);
	else if (is(key, "policy"))
		got = host_policy_name(t->policy);
	else if (is(key, "fallback"))
		got = t->clear_fallback ? "yes" : "no";
	else if (is(key, "detail")) { /* takes the rest of the line */
		value = slice_make(value.p, (size_t)(rest->p + rest->n - value.p));
		rest->n = 0;
		got = t->detail;
	} else {
		return wrong(j, "unknown word", NULL);
	}
	return glob_is(value, got) || wrong(j, "got", got);
}

static bool expect_try(struct judge *j, struct slice rest)
{
	uint64_t n;
	if (!slice_to_u64(fake_word(&rest), 10000, &n) || n == 0)
		return wrong(j, "a number is expected", NULL);
	if (n > attempt_ntries(j->w->attempt))
		return wrong(j, "there were fewer tries", NULL);
	while (slice_trim(rest).n > 0) {
		struct slice word = fake_word(&rest);
		if (!try_word(j, attempt_try(j->w->attempt, n - 1), word, &rest))
			return false;
	}
	return true;
}

static bool expect_tries(struct judge *j, struct slice rest)
{
	char got[32];
	snprintf(got, sizeof(got), "%zu", attempt_ntries(j->w->attempt));
	return is(slice_trim(rest), got) || wrong(j, "got", got);
}

static bool expect_reached(struct judge *j, struct slice rest)
{
	static const char *const names[] = {
	    [SMTPC_REACHED_NOTHING] = "nothing", [SMTPC_REACHED_GREETING] = "greeting",
	    [SMTPC_REACHED_HELLO] = "hello",     [SMTPC_REACHED_MAIL] = "mail",
	    [SMTPC_REACHED_RCPT] = "rcpt",       [SMTPC_REACHED_TEXT] = "text",
	    [SMTPC_REACHED_DOT] = "dot",         [SMTPC_REACHED_VERDICT] = "verdict"};
	const char *got = names[attempt_phase(j->w->attempt)];
	return is(slice_trim(rest), got) || wrong(j, "got", got);
}

static bool judge_line(struct judge *j)
{
	struct slice rest = slice_str(j->text);
	struct slice word = fake_word(&rest);
	if (is(word, "asked") || is(word, "never-asked"))
		return expect_asked(j, rest, is(word, "asked"));
	if (is(word, "connected"))
		return expect_connected(j, rest);
	if (is(word, "never-connected"))
		return expect_never_connected(j, rest);
	if (is(word, "no-clear-mail") || is(word, "clear-mail"))
		return expect_clear_mail(j, is(word, "clear-mail"));
	if (is(word, "host"))
		return expect_host(j, rest);
	if (is(word, "hosts"))
		return expect_hosts(j, rest);
	if (is(word, "try"))
		return expect_try(j, rest);
	if (is(word, "reached"))
		return expect_reached(j, rest);
	if (is(word, "tries"))
		return expect_tries(j, rest);
	return expect_rcpt(j, word, rest);
}

/* --- Nothing in a scene may be idle: what is not used is a typing error, or a bug. --- */

static bool excused(const struct scene *s, const char *verb, const char *what)
{
	for (size_t i = 0; i < s->nexpect; i++) {
		struct slice rest = slice_str(s->expect[i].text);
		if (is(fake_word(&rest), verb) && glob_is(fake_word(&rest), what))
			return true;
	}
	return false;
}

static bool judge_idle(struct judge *j)
{
	const struct scene *s = j->w->scene;
	for (size_t i = 0; i < s->ndns && !j->w->mode->lifo; i++) {
		j->line = s->dns[i].line;
		j->text = s->dns[i].name;
		if (!s->dns[i].asked && !excused(s, "never-asked", s->dns[i].name))
			return wrong(j, "was never asked", NULL);
	}
	for (size_t i = 0; i < s->nhost; i++) {
		j->line = s->host[i].line;
		j->text = s->host[i].address;
		if (!s->host[i].used && !excused(s, "never-connected", s->host[i].address))
			return wrong(j, "was never connected", NULL);
	}
	return true;
}

bool scene_judge(const struct show *w, char *error, size_t room)
{
	struct judge j = {.w = w, .error = error, .room = room};
	for (size_t i = 0; i < w->scene->nexpect; i++) {
		j.line = w->scene->expect[i].line;
		j.text = w->scene->expect[i].text;
		if (!judge_line(&j))
			return false;
	}
	return judge_idle(&j);
}
