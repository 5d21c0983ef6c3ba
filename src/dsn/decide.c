/* SPDX-License-Identifier: MIT */
/*
 * Which notification a recipient's sender gets: RFC 3461 s5.2 as one function of facts.
 *
 * Knows NOTIFY and what happened. Refuses to know what a notification looks like.
 */
#include "dsn/dsn.h"

static unsigned notify_word(struct slice word)
{
	static const struct {
		const char *name;
		unsigned bit;
	} words[] = {
	    {"SUCCESS", DSN_NOTIFY_SUCCESS},
	    {"FAILURE", DSN_NOTIFY_FAILURE},
	    {"DELAY", DSN_NOTIFY_DELAY},
	    {"NEVER", DSN_NOTIFY_NEVER},
	};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (slice_eq_nocase_str(word, words[i].name))
			return words[i].bit;
	}
	return 0;
}

/*
 *   notify-esmtp-value = "NEVER" / notify-list-element *( "," notify-list-element )
 *   notify-list-element = "SUCCESS" / "FAILURE" / "DELAY"              ; RFC 3461 s4.1
 */
bool dsn_notify_parse(struct slice text, unsigned *out)
{
	unsigned all = 0;

	*out = 0;
	for (bool last = false; !last;) {
		last = slice_find(text, ',') == text.n;
		unsigned bit = notify_word(slice_cut(text, ',', &text));
		if (bit == 0 || (all & bit) != 0)
			return false;
		all |= bit;
	}
	if ((all & DSN_NOTIFY_NEVER) != 0 && all != DSN_NOTIFY_NEVER)
		return false;
	*out = all;
	return true;
}

/* Not given counts as FAILURE and DELAY (RFC 3461 s5.2.5, s5.2.6). */
static bool wants(unsigned notify, unsigned bit)
{
	if ((notify & DSN_NOTIFY_NEVER) != 0)
		return false;
	return notify == 0 ? bit != DSN_NOTIFY_SUCCESS : (notify & bit) != 0;
}

enum dsn_action dsn_decide(const struct dsn_facts *f)
{
	if (f->null_sender)
		return DSN_NONE;
	switch (f->event) {
	case DSN_EVENT_NOTHING:
		return DSN_NONE;
	case DSN_EVENT_SENT:
		return wants(f->notify, DSN_NOTIFY_SUCCESS) && !f->next_knows_dsn ? DSN_RELAYED
										  : DSN_NONE;
	case DSN_EVENT_DELAYED:
		return wants(f->notify, DSN_NOTIFY_DELAY) && !f->warned ? DSN_DELAYED : DSN_NONE;
	case DSN_EVENT_FAILED:
		return wants(f->notify, DSN_NOTIFY_FAILURE) ? DSN_FAILED : DSN_NONE;
	}
	return DSN_NONE;
}

const char *dsn_action_name(enum dsn_action a)
{
	switch (a) {
	case DSN_NONE:
		return "";
	case DSN_RELAYED:
		return "relayed";
	case DSN_DELAYED:
		return "delayed";
	case DSN_FAILED:
		return "failed";
	}
	return "";
}
