/* SPDX-License-Identifier: MIT */
/*
 * Many clients: who is let in, who is sent away to make room, how long anybody may do nothing (P4).
 * Gathers the facts; seating.c judges them, and roster.c counts over all intakes.
 */
#include "relay/intake_int.h"

#include <stdlib.h>
#include <sys/resource.h>

enum {
	TICK_MS = 1000,
	MAKE_ROOM_PART =
	    32, /* of all places are made free at once: a flood costs a look for each */
	DESCRIPTORS_SPARE = 64,     /* listeners, channels, the loop */
	DESCRIPTORS_PER_CLIENT = 2, /* its socket, its text */
};

static bool is_ours(const struct client *c)
{
	if (smtps_authenticated(c->smtp))
		return true;
	for (size_t i = 0; i < c->intake->nnetwork; i++) {
		if (network_has(&c->intake->network[i], &c->address))
			return true;
	}
	return false;
}

static enum standing standing_of(const struct client *c)
{
	if (is_ours(c))
		return STANDING_OWN;
	return roster_knows(c->intake->roster, &c->address, loop_now_ms()) ? STANDING_KNOWN
									   : STANDING_STRANGER;
}

/* --- Making room --- */

static enum seating_doing doing_of(const struct client *c)
{
	if (c->brought_mail || c->token != 0 || c->login != 0)
		return SEATING_WORK;
	return smtps_in_text(c->smtp) ? SEATING_TEXT : SEATING_NOTHING;
}

struct crowd {
	struct client **client;
	struct seating_client *seating;
	size_t n;
};

/* Those that have a seat. The order of `seating` changes: whom it is about says the number. */
static bool look_around(struct intake *t, struct crowd *w)
{
	*w = (struct crowd){.client = calloc(t->nclient + 1, sizeof(struct client *)),
			    .seating = calloc(t->nclient + 1, sizeof(*w->seating))};
	if (w->client == NULL || w->seating == NULL)
		return false;
	for (struct client *c = t->client; c != NULL && w->n < t->nclient; c = c->next) {
		if (c->over || c->seat < 0)
			continue;
		w->client[w->n] = c;
		w->seating[w->n++] = (struct seating_client){
		    .address = c->address,
		    .standing = c->standing,
		    .doing = doing_of(c),
		    .came = c->number,
		};
	}
	return true;
}

static void send_away(struct client *c)
{
	if (smtps_send_away(c->smtp, "4.7.0 Too many connections, others need the place"))
		client_pump(c);
}

static struct client *client_by_number(const struct crowd *w, uint64_t number)
{
	for (size_t i = 0; i < w->n; i++) {
		if (w->client[i]->number == number)
			return w->client[i];
	}
	return NULL;
}

size_t intake_make_room(struct intake *t, enum standing who, uint32_t network)
{
	struct crowd w;
	size_t got = 0;
	uint32_t all = t->seats_max;
	struct seating_need need = {who, network, all,
				    all / MAKE_ROOM_PART > 0 ? all / MAKE_ROOM_PART : 1};
	if (look_around(t, &w)) {
		got = seating_choose(w.seating, w.n, &need);
		for (size_t i = 0; i < w.n && got > 0; i++) {
			struct client *c =
			    w.seating[i].goes ? client_by_number(&w, w.seating[i].came) : NULL;
			if (c != NULL)
				send_away(c);
		}
	}
	free(w.client);
	free(w.seating);
	t->sent_away += (uint32_t)got;
	return got;
}

/* --- Coming and going --- */

/* Never put off: those who come would see to it that it never comes. */
static void go_on_ticking(struct intake *t)
{
	if (!t->ticking)
		loop_timer_set(t->crowd_tick, TICK_MS);
	t->ticking = true;
}

static void sit(struct client *c)
{
	c->seat = roster_sit(c->intake->roster, &c->address, c->standing);
	if (c->seat >= 0)
		go_on_ticking(c->intake);
}

const char *intake_refusal(struct client *c)
{
	struct intake *t = c->intake;
	struct seating_limits max = {t->seats_max,
				     (uint32_t)t->process.birth.conf->relay_clients_per_address};
	if (t->process.draining)
		return "4.3.2 Shutting down";
	c->standing = standing_of(c);
	struct seating_counts n = roster_count(t->roster, &c->address);
	enum seating s = seating_judge(&n, &max, c->standing);
	if (s == SEATING_ADDRESS_FULL)
		return "4.7.0 Too many connections from your address";
	if (s == SEATING_WELCOME || intake_make_room(t, c->standing, n.network) > 0)
		sit(c);
	return c->seat < 0 ? "4.3.2 Too many connections" : NULL;
}

void intake_leave(struct client *c)
{
	roster_leave(c->intake->roster, c->seat);
	c->seat = -1;
}

static void raise_to(struct client *c, enum standing s)
{
	if (c->standing < s)
		c->standing = s;
	roster_change(c->intake->roster, c->seat, c->standing);
}

void intake_brought_mail(struct client *c)
{
	c->brought_mail = true;
	roster_note(c->intake->roster, &c->address, loop_now_ms());
	raise_to(c, STANDING_KNOWN);
}

/* Where a user is now there will be one again, who has not said the password yet. */
void intake_logged_in(struct client *c)
{
	roster_note(c->intake->roster, &c->address, loop_now_ms());
	raise_to(c, STANDING_OWN);
}

/* --- Patience --- */

static bool is_out_of_patience(const struct client *c, const struct seating_counts *n, uint64_t now)
{
	if (c->over || c->seat < 0 || doing_of(c) != SEATING_NOTHING)
		return false;
	uint32_t calm = c->config.timeouts->command;
	uint32_t ms = seating_patience_ms(n, c->intake->seats_max, c->standing, calm);
	return ms < calm && now - c->patience.since > ms;
}

/* What a flood makes is one line a second. */
static void tell_second(struct intake *t)
{
	char n[LOG_INT_TEXT], there[LOG_INT_TEXT];
	if (t->sent_away > 0)
		log_event(t->process.log, LOG_LEVEL_WARN, "clients-sent-away", "n",
			  log_int(n, t->sent_away), "of", log_int(there, (int64_t)t->nclient),
			  "why", "few places are left, and they had done nothing yet", NULL);
	if (t->lines > CLIENT_LINES_A_SECOND)
		log_event(t->process.log, LOG_LEVEL_WARN, "lines-left-out", "n",
			  log_int(n, t->lines - CLIENT_LINES_A_SECOND), NULL);
	t->sent_away = 0;
	t->lines = 0;
}

/* Every second while somebody is here. Patience ends at the usual time by each one's own timer. */
void intake_crowd_turn(void *arg)
{
	struct intake *t = arg;
	static const struct ipaddr nobody = {0};
	struct seating_counts n = roster_count(t->roster, &nobody);
	uint64_t now = loop_now_ms();
	t->ticking = false;
	tell_second(t);
	for (struct client *c = t->client, *next; c != NULL; c = next) {
		next = c->next;
		if (is_out_of_patience(c, &n, now) &&
		    smtps_send_away(c->smtp, "4.4.2 Timeout: there are many who wait")) {
			t->sent_away++;
			client_pump(c);
		}
	}
	if (t->nclient > 0)
		go_on_ticking(t);
}

/* --- Set-up --- */

/* As many descriptors as may be: a client that cannot be accepted waits where nobody sees it. */
static uint32_t raise_descriptors(struct intake *t)
{
	struct rlimit r;
	char may[LOG_INT_TEXT], wanted[LOG_INT_TEXT];
	uint32_t max = (uint32_t)t->process.birth.conf->relay_clients_max;
	if (getrlimit(RLIMIT_NOFILE, &r) != 0)
		return max;
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur == RLIM_INFINITY)
		return max;
	rlim_t room = r.rlim_cur > DESCRIPTORS_SPARE ? r.rlim_cur - DESCRIPTORS_SPARE : 1;
	if (room / DESCRIPTORS_PER_CLIENT >= max)
		return max;
	room = room / DESCRIPTORS_PER_CLIENT > 0 ? room / DESCRIPTORS_PER_CLIENT : 1;
	log_event(t->process.log, LOG_LEVEL_WARN, "few-descriptors", "clients",
		  log_int(may, (int64_t)room), "relay.clients-max", log_int(wanted, max), "cure",
		  "raise the hard limit of open files (LimitNOFILE=)", NULL);
	return (uint32_t)room;
}

bool intake_crowd_open(struct intake *t)
{
	t->seats_max = raise_descriptors(t);
	t->roster = roster_new(t->seats_max + 1);
	t->crowd_tick = loop_timer_new(t->process.loop, intake_crowd_turn, t);
	if (t->roster == NULL)
		log_event(t->process.log, LOG_LEVEL_ERROR, "roster", "error",
			  "no sealed memory for the table of clients", NULL);
	return t->roster != NULL && t->crowd_tick != NULL;
}

void intake_crowd_close(struct intake *t)
{
	loop_timer_free(&t->crowd_tick);
	roster_free(&t->roster);
}

/* The keeper hands our page to the other intakes, and theirs to us. A new keeper knows nobody. */
void intake_crowd_meet(struct intake *t)
{
	roster_remove_all(t->roster);
	channel_begin(t->keeper, MSG_ROSTER);
	channel_send(t->keeper, roster_fd(t->roster));
}

void intake_crowd_other(struct intake *t, uint32_t number, int fd)
{
	roster_remove(t->roster, number);
	if (fd >= 0 && !roster_add(t->roster, number, fd))
		log_event(t->process.log, LOG_LEVEL_WARN, "roster", "error",
			  "a page of another intake cannot be read: its clients are not counted",
			  NULL);
}
