/* SPDX-License-Identifier: MIT */
/*
 * Which policy holds for one destination.
 *
 * Knows how sections match names. Refuses to know what the policies mean (src/dane).
 */
#include "conf/room.h"

#include "wire/route.h"

static struct dane_policy general(const struct conf *c)
{
	return (struct dane_policy){
	    .level = c->policy_level,
	    .reference_names = c->policy_reference_names,
	    .insecure_mx = c->policy_insecure_mx,
	    .mx_alias = c->policy_mx_alias,
	    .port = (uint16_t)c->smtp_port,
	    .clear_fallback = c->policy_clear_fallback,
	};
}

static bool matches(const struct conf_destination *d, struct slice domain)
{
	struct slice name = slice_str(d->name);
	if (!d->wildcard)
		return slice_eq_nocase(domain, name);
	if (domain.n < name.n + 2 || domain.p[domain.n - name.n - 1] != '.')
		return false;
	return slice_eq_nocase(slice_from(domain, domain.n - name.n), name);
}

static bool more_specific(const struct conf_destination *a, const struct conf_destination *b)
{
	if (a->wildcard != b->wildcard)
		return !a->wildcard;
	return strlen(a->name) > strlen(b->name);
}

static const struct conf_destination *best_match(const struct conf *c, struct slice domain)
{
	const struct conf_destination *best = NULL;
	for (size_t i = 0; i < c->ndestination; i++) {
		const struct conf_destination *d = &c->destination[i];
		if (matches(d, domain) && (!best || more_specific(d, best)))
			best = d;
	}
	return best;
}

enum override_bit {
#define OVERRIDE(key, field, type, doc) BIT_##field,
#include "conf/options.tbl"
};

static const struct conf_destination *destination_of(const struct conf *c, const char *domain)
{
	struct slice name = slice_str(domain);
	if (name.n > 1 && name.p[name.n - 1] == '.')
		name.n--;
	return best_match(c, name);
}

const char *conf_route_for(const struct conf *c, const char *domain)
{
	const struct conf_destination *d = destination_of(c, domain);
	return d ? d->route : NULL;
}

static bool is_submission(const char *text)
{
	struct route r;
	size_t at;
	return text && route_parse(slice_str(text), &r, &at) == ROUTE_OK && route_is_submission(&r);
}

bool conf_has_submission(const struct conf *c, const char *domain)
{
	if (domain)
		return is_submission(conf_route_for(c, domain));
	for (size_t i = 0; i < c->ndestination; i++)
		if (is_submission(c->destination[i].route))
			return true;
	return false;
}

void conf_policy_for(const struct conf *c, const char *domain, struct dane_policy *out)
{
	*out = general(c);
	const struct conf_destination *d = destination_of(c, domain);
	if (!d)
		return;
#define OVERRIDE_OTHER(key, field, type, doc)
#define OVERRIDE(key, field, type, doc)                                                            \
	if (d->set & (1u << BIT_##field))                                                          \
		out->field = (__typeof__(out->field))d->field;
#include "conf/options.tbl"
}
