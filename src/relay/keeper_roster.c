/* SPDX-License-Identifier: MIT */
/* Hands each intake the pages of the others (roster.h). Refuses to read them. */
#include "relay/keeper_int.h"

#include <unistd.h>

static void tell_of(struct peer *to, const struct peer *about)
{
	put_u32(channel_begin(to->channel, MSG_ROSTER_OF), about->number);
	channel_send(to->channel, about->roster);
}

static void change_page(struct keeper *k, struct peer *p, int fd)
{
	if (p->roster >= 0)
		close(p->roster);
	p->roster = fd;
	for (struct peer *other = k->peer; other != NULL; other = other->next) {
		if (other == p || other->role != ROLE_INTAKE)
			continue;
		tell_of(other, p);
		if (other->roster >= 0)
			tell_of(p, other);
	}
}

/* Once for each channel: an intake that was taken over could use up our descriptors with copies for
 * the others. */
bool keeper_roster_met(struct keeper *k, struct peer *p, int fd)
{
	if (p->met) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	p->met = true;
	change_page(k, p, fd);
	return true;
}

void keeper_roster_gone(struct keeper *k, struct peer *p)
{
	if (p->role == ROLE_INTAKE && p->roster >= 0)
		change_page(k, p, -1);
}
