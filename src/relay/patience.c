/* SPDX-License-Identifier: MIT */
/* Deadlines. Knows paces and times; refuses to know what a client says. */
#include "relay/patience.h"

enum { MS_PER_S = 1000 };

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void patience_renew(struct patience *p, const struct patience_facts *f)
{
	p->deadline = f->now + f->timeout;
	p->since = f->now;
	p->progress = f->progress;
	p->octets = f->octets;
	if (f->in_text && !p->in_text)
		p->text_since = f->now;
	p->in_text = f->in_text;
}

static bool look_at_text(struct patience *p, const struct patience_facts *f)
{
	uint64_t bought = (f->octets - p->octets) * MS_PER_S / PATIENCE_OCTETS_PER_S;
	uint64_t until = earlier(p->deadline + bought, f->now + f->timeout);
	until = earlier(until, p->text_since + PATIENCE_TEXT_MS);
	bool more = until > p->deadline;
	p->progress = f->progress;
	p->octets = f->octets;
	if (more)
		p->deadline = until;
	return more;
}

bool patience_look(struct patience *p, const struct patience_facts *f)
{
	if (p->in_text && f->in_text)
		return look_at_text(p, f);
	if (f->progress == p->progress && f->in_text == p->in_text)
		return false;
	patience_renew(p, f);
	return true;
}
