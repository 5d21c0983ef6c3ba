/* SPDX-License-Identifier: MIT */
/*
 * The texts under way and their budget. A message's text is one descriptor however many deliveries
 * share it: it counts once.
 *
 * Knows sizes. Refuses to know who waits.
 */
#include "sched/room.h"

enum { SMALL = 1 << 20 }; /* octets: what big mail never stops */

static uint32_t *place_of(const struct sched *s, int64_t message)
{
	uint32_t *at =
	    &s->text_bucket[(uint32_t)sched_mix(s->seed, (uint64_t)message, 3) & s->text_mask];

	while (*at != NIL && s->text[*at].message != message)
		at = &s->text[*at].chain;
	return at;
}

/* A message that is like no other has the number of its delivery, below zero. */
static int64_t message_of(const struct entry *e)
{
	return e->message != 0 ? e->message : -e->id;
}

/* A big one alone may exceed the budget: else it never went. */
bool octets_fit(const struct sched *s, const struct entry *e)
{
	if (s->c.octets == 0 || *place_of(s, message_of(e)) != NIL)
		return true;
	if (e->size <= SMALL)
		return s->octets <= s->c.octets || s->octets - s->big_octets <= s->c.octets / 4;
	return s->big_octets == 0 || (s->big_octets + e->size <= s->c.octets / 4 * 3 &&
				      s->octets + e->size <= s->c.octets);
}

void octets_take(struct sched *s, const struct entry *e)
{
	int64_t message = message_of(e);
	uint32_t *at = place_of(s, message), i = *at;

	if (i == NIL) { /* there is a place for every slot */
		i = s->free_text;
		if (i != NIL)
			s->free_text = s->text[i].chain;
		else
			i = s->texts_used++;
		s->text[i] = (struct text){.message = message, .size = e->size, .chain = NIL};
		*at = i;
		s->octets += e->size;
		s->big_octets += e->size > SMALL ? e->size : 0;
	}
	s->text[i].refs++;
}

bool octets_release(struct sched *s, const struct entry *e)
{
	uint32_t *at = place_of(s, message_of(e)), i = *at;
	struct text *t = &s->text[i];

	if (--t->refs > 0)
		return false;
	s->octets -= t->size;
	s->big_octets -= t->size > SMALL ? t->size : 0;
	*at = t->chain;
	t->chain = s->free_text;
	s->free_text = i;
	return true;
}
