/* SPDX-License-Identifier: MIT */
/*
 * Which policy holds for one destination.
 *
 * Knows how sections match names. Refuses to know what the policies mean (src/dane).
 */
#include "conf/room.h"

#include "wire/destination.h"
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

static const struct conf_destination *best_match(const struct conf *c, const char *destination)
{
	const struct conf_destination *best = NULL;
	unsigned most = DESTINATION_ANY;
	for (size_t i = 0; i < c->ndestination; i++) {
		const struct conf_destination *d = &c->destination[i];
		unsigned much = destination_specificity(d->pattern);
		if (much > most && destination_matches(d->pattern, destination)) {
			best = d;
			most = much;
		}
	}
	return best;
}

enum override_bit {
#define OVERRIDE(key, field, type, doc) BIT_##field,
#include "conf/options.tbl"
};

/* False: it is no destination. */
static bool find_section(const struct conf *c, const char *destination,
			 const struct conf_destination **d)
{
	char normal[DESTINATION_ROOM];
	*d = NULL;
	if (destination_normalise(slice_str(destination), normal) != DESTINATION_OK)
		return false;
	*d = best_match(c, normal);
	return true;
}

bool conf_destination_has_level(const struct conf_destination *d)
{
	return d->set & (1u << BIT_level);
}

const char *conf_level_pattern(const struct conf *c, const char *destination)
{
	const struct conf_destination *d;
	if (!find_section(c, destination, &d))
		return NULL;
	return d && conf_destination_has_level(d) ? d->pattern : NULL;
}

const struct conf_destination *conf_destination_for(const struct conf *c, const char *destination)
{
	const struct conf_destination *d;
	return find_section(c, destination, &d) ? d : NULL;
}

const char *conf_route_for(const struct conf *c, const char *destination)
{
	const struct conf_destination *d;
	return find_section(c, destination, &d) && d ? d->route : NULL;
}

static bool is_submission(const char *text)
{
	struct route r;
	size_t at;
	return text && route_parse(slice_str(text), &r, &at) == ROUTE_OK && route_is_submission(&r);
}

bool conf_has_submission(const struct conf *c, const char *destination)
{
	if (destination)
		return is_submission(conf_route_for(c, destination));
	for (size_t i = 0; i < c->ndestination; i++)
		if (is_submission(c->destination[i].route))
			return true;
	return false;
}

void conf_policy_for(const struct conf *c, const char *destination, struct dane_policy *out)
{
	const struct conf_destination *d = NULL;
	*out = general(c);
	if (destination && !find_section(c, destination, &d))
		out->level = LEVEL_DANE_ONLY;
	if (!d)
		return;
#define OVERRIDE_OTHER(key, field, type, doc)
#define OVERRIDE(key, field, type, doc)                                                            \
	if (d->set & (1u << BIT_##field))                                                          \
		out->field = (__typeof__(out->field))d->field;
#include "conf/options.tbl"
}
