/* SPDX-License-Identifier: MIT */
/*
 * What an operator's exception is about: which mail that waits it matches, and what is said of a
 * closer pattern and therefore stays. Knows the queue, the exceptions and the configuration;
 * refuses to know what a policy allows.
 */
#include "relay/control_int.h"

#include "conf/conf.h"
#include "json/json.h"

#include <string.h>

enum { REACH_PAGE = 200, REACH_MEM_MAX = 1024 * 1024 };

static void add_example(struct policy_example *list, uint64_t n, const char *name,
			const char *policy, const char *by)
{
	if (n >= POLICY_EXAMPLES)
		return;
	snprintf(list[n].name, sizeof(list[n].name), "%s", name);
	list[n].policy = policy;
	list[n].by = by;
}

/* Is `closer` about destinations that `pattern` matches too, and counts before it? */
static bool is_within(const char *closer, const char *pattern)
{
	const char *name = closer[0] == '*' ? closer + 2 : closer;
	return destination_specificity(closer) > destination_specificity(pattern) &&
	       destination_matches(pattern, name);
}

static void add_stay(struct policy_reach *r, const char *name, enum dane_level level,
		     const char *by)
{
	add_example(r->stay, r->stays, name, dane_level_name(level), by);
	r->stays++;
}

static void look_at_configuration(struct policy_reach *r, const struct conf *c, const char *pattern)
{
	for (size_t i = 0; i < c->ndestination; i++) {
		const struct conf_destination *d = &c->destination[i];
		if (conf_destination_has_level(d) && is_within(d->pattern, pattern))
			add_stay(r, d->pattern, d->level, "configuration");
	}
}

static enum store_status look_at_exceptions(struct policy_reach *r, struct keeper *k,
					    const char *pattern)
{
	struct store_override page[REACH_PAGE];
	char after[STORE_NAME_MAX + 1] = "";
	enum store_status s = STORE_OK;
	for (size_t n = REACH_PAGE; s == STORE_OK && n == REACH_PAGE;) {
		struct arena mem;
		enum dane_level level;
		arena_init(&mem, REACH_MEM_MAX);
		s = store_overrides(k->store, after, REACH_PAGE, &mem, page, &n);
		for (size_t i = 0; s == STORE_OK && i < n; i++) {
			if (is_within(page[i].pattern, pattern) &&
			    dane_level_from_name(page[i].policy, &level))
				add_stay(r, page[i].pattern, level, "policy");
		}
		if (s == STORE_OK && n > 0)
			snprintf(after, sizeof(after), "%s", page[n - 1].pattern);
		arena_free(&mem);
	}
	return s;
}

enum store_status policy_reach_look(struct policy_reach *r, struct keeper *k, const char *pattern)
{
	struct store_destination page[REACH_PAGE];
	struct arena mem;
	size_t n = 0;
	arena_init(&mem, REACH_MEM_MAX);
	enum store_status s =
	    store_stats_destinations(k->store, r->after, REACH_PAGE, &mem, page, &n, &r->after);
	for (size_t i = 0; s == STORE_OK && i < n; i++) {
		if (!destination_matches(pattern, page[i].name))
			continue;
		add_example(r->match, r->destinations, page[i].name, NULL, NULL);
		r->destinations++;
		r->deliveries += page[i].waiting + page[i].held + page[i].active;
	}
	arena_free(&mem);
	r->over = s == STORE_OK && r->after == 0;
	if (!r->over)
		return s;
	look_at_configuration(r, k->process.birth.conf, pattern);
	return look_at_exceptions(r, k, pattern);
}

struct json *policy_reach_json(const struct policy_reach *r)
{
	struct json *j = json_object();
	json_set_int(j, "matching_deliveries", (int64_t)r->deliveries);
	json_set_int(j, "matching_destinations", (int64_t)r->destinations);
	struct json *list = json_set(j, "examples", json_array());
	for (uint64_t i = 0; i < r->destinations && i < POLICY_EXAMPLES; i++)
		json_set_str(json_append(list, json_object()), "destination", r->match[i].name);
	json_set_int(j, "stay", (int64_t)r->stays);
	list = json_set(j, "staying", json_array());
	for (uint64_t i = 0; i < r->stays && i < POLICY_EXAMPLES; i++) {
		struct json *x = json_append(list, json_object());
		json_set_str(x, "pattern", r->stay[i].name);
		json_set_str(x, "policy", r->stay[i].policy);
		json_set_str(x, "by", r->stay[i].by);
	}
	return j;
}
