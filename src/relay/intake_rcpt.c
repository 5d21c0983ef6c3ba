/* SPDX-License-Identifier: MIT */
/*
 * Who may begin a message, and for whom (P3): relaying, routes, limits, recipients that are there.
 * Refuses to know sockets and texts.
 */
#include "relay/intake_int.h"

#include "idn/idn.h"
#include "relay/postmaster.h"
#include "wire/destination.h"

#include <stdlib.h>
#include <string.h>

static bool may_relay(const struct client *c)
{
	if (smtps_authenticated(c->smtp))
		return true;
	for (size_t i = 0; i < c->intake->nnetwork && !c->listener->submission; i++) {
		if (network_has(&c->intake->network[i], &c->address))
			return true;
	}
	return false;
}

/* What a path's mail goes to (D10). Not OK: it cannot be delivered to at all, or (IDN_NO_MEMORY)
 * that is not known. */
static enum idn_error next_hop_of(const char *path, char out[static DESTINATION_ROOM])
{
	struct address a;
	char domain[ADDRESS_DOMAIN_MAX + 1];
	out[0] = '\0';
	if (address_parse(slice_str(path), &a) != ADDRESS_OK)
		return IDN_EMPTY;
	snprintf(domain, sizeof(domain), "%.*s", (int)a.domain.n, (const char *)a.domain.p);
	return idn_destination(domain, out, NULL);
}

/* Mail for a destination with a route is taken from anybody, on the port for that (P3). */
static bool has_route(const struct client *c, const char *next_hop)
{
	return !c->listener->submission && next_hop[0] != '\0' &&
	       conf_route_for(c->intake->process.birth.conf, next_hop) != NULL;
}

/* The key of whoever is counted: a user, else a client network. */
static void set_key(const struct client *c, bool user, char key[static RATE_KEY_MAX])
{
	char address[IPADDR_TEXT_MAX];
	struct ipaddr network = c->address;
	if (network.family == 6)
		memset(network.b + 8, 0, 8); /* who has one address has its /64 */
	ipaddr_to_text(&network, address);
	/* A user may be called like an address. */
	snprintf(key, RATE_KEY_MAX, "%s %s", user ? "user" : "network",
		 user ? smtps_user(c->smtp) : address);
}

/* P3: one more; false: too many. */
static bool take(struct rate *r, const struct client *c, bool user)
{
	char key[RATE_KEY_MAX];
	if (r == NULL)
		return true;
	set_key(c, user, key);
	return rate_take(r, slice_str(key), loop_now_ms());
}

/* Strangers have limits of their own; of the others this machine is not counted. */
static bool may_begin(const struct client *c)
{
	bool user = smtps_authenticated(c->smtp);
	if (!may_relay(c) && !take(c->intake->stranger_messages, c, false))
		return false;
	return (!user && ipaddr_is_loopback(&c->address)) || take(c->intake->rate, c, user);
}

void intake_decide_mail(struct client *c)
{
	if (may_begin(c)) {
		smtps_decide(c->smtp, 250, "2.1.0 Ok");
		return;
	}
	client_log_some(c, LOG_LEVEL_WARN, "too-many-messages", "user",
			smtps_authenticated(c->smtp) ? smtps_user(c->smtp) : NULL);
	smtps_decide(c->smtp, 450, "4.7.1 Too many messages from you, try again in a minute");
}

/* The domain part as A-labels (D10), lower case; the local part as it is. */
const char *intake_wire_address(struct arena *mem, const char *path)
{
	char ascii[256];
	const char *at = strrchr(path, '@');
	enum idn_error e = IDN_EMPTY;
	if (at != NULL && at[1] != '[')
		e = idn_to_ascii(at + 1, ascii, sizeof(ascii));
	if (e == IDN_NO_MEMORY) {
		mem->failed = true;
		return NULL;
	}
	if (e != IDN_OK)
		return arena_strdup(mem, path);
	return arena_printf(mem, "%.*s@%s", (int)(at - path), path, ascii);
}

static enum postmaster judge_postmaster(const struct client *c, const char *rcpt)
{
	struct arena mem;
	if (!postmaster_is_local_part(slice_str(rcpt))) /* nearly everybody */
		return POSTMASTER_NOT;
	arena_init(&mem, 2 * ADDRESS_PATH_MAX + 256);
	const char *address = intake_wire_address(&mem, rcpt);
	enum postmaster p =
	    postmaster_judge(slice_str(address != NULL ? address : rcpt), c->intake->host);
	arena_free(&mem);
	return p;
}

/* Where a recipient's mail really goes (RFC 5321 s4.5.1). */
const char *intake_destination(const struct client *c, struct arena *mem, const char *rcpt)
{
	const char *postmaster = c->intake->process.birth.conf->relay_postmaster;
	bool ours = postmaster != NULL && judge_postmaster(c, rcpt) != POSTMASTER_NOT;
	return intake_wire_address(mem, ours ? postmaster : rcpt);
}

/* Nobody answers for this relay: the client keeps the mail until somebody does. */
static void decide_postmaster(struct client *c)
{
	if (c->intake->process.birth.conf->relay_postmaster != NULL) {
		smtps_decide(c->smtp, 250, "2.1.5 Ok");
		return;
	}
	client_log_some(c, LOG_LEVEL_WARN, "no-postmaster", "cure", "set relay.postmaster");
	smtps_decide(c->smtp, 451, "4.3.5 No postmaster configured");
}

/* Is the recipient there, as far as the destination's table knows? */
static bool is_there(const struct client *c, const char *rcpt, const char *next_hop)
{
	const struct conf *f = c->intake->process.birth.conf;
	const struct conf_destination *d = conf_destination_for(f, next_hop);
	if (d == NULL || d->verify_recipients == VERIFY_NO)
		return true;
	const char *at = strrchr(rcpt, '@');
	struct slice local = slice_make(rcpt, at != NULL ? (size_t)(at - rcpt) : 0);
	return recipients_has(c->intake->recipients[d - f->destination], local,
			      slice_str(next_hop));
}

static void decide_open(struct client *c, const char *rcpt, const char *next_hop, enum idn_error e)
{
	if (e != IDN_OK) {
		smtps_decide(c->smtp, 550, "5.1.2 Bad destination domain");
	} else if (!is_there(c, rcpt, next_hop)) {
		client_log_some(c, LOG_LEVEL_INFO, "no-such-recipient", "to", rcpt);
		smtps_decide(c->smtp, 550, "5.1.1 No such recipient here");
	} else {
		smtps_decide(c->smtp, 250, "2.1.5 Ok");
	}
}

void intake_decide_rcpt(struct client *c)
{
	const char *rcpt = smtps_rcpt(c->smtp)->address;
	bool known = c->intake->process.birth.conf->relay_postmaster != NULL;
	char next_hop[DESTINATION_ROOM];
	enum idn_error e = next_hop_of(rcpt, next_hop);
	enum postmaster to = judge_postmaster(c, rcpt);
	bool open = may_relay(c) || has_route(c, next_hop);
	bool elsewhere = to == POSTMASTER_OURS && !known && open;
	if (!may_relay(c) && !take(c->intake->stranger_recipients, c, false)) {
		client_log_some(c, LOG_LEVEL_WARN, "too-many-recipients", "to", rcpt);
		smtps_decide(c->smtp, 450,
			     "4.7.1 Too many recipients from you, try again in a minute");
	} else if (to != POSTMASTER_NOT && !elsewhere) {
		decide_postmaster(c);
	} else if (e == IDN_NO_MEMORY) {
		smtps_decide(c->smtp, 451, "4.3.0 Out of memory, try again later");
	} else if (!open) {
		client_log_some(c, LOG_LEVEL_INFO, "relay-denied", "to", rcpt);
		smtps_decide(c->smtp, 550, "5.7.1 Relay access denied");
	} else {
		decide_open(c, rcpt, next_hop, e);
	}
}

/* --- Set-up --- */

/* A table for each section that has one; sections are few. */
static bool load_recipients(struct intake *t)
{
	const struct conf *f = t->process.birth.conf;
	char error[512] = "";
	t->recipients = calloc(f->ndestination + 1, sizeof(struct recipients *));
	if (t->recipients == NULL)
		return false;
	for (size_t i = 0; i < f->ndestination; i++) {
		const struct conf_destination *d = &f->destination[i];
		if (d->verify_recipients == VERIFY_NO)
			continue;
		if (d->recipients != NULL)
			t->recipients[i] = recipients_load(d->recipients, error, sizeof(error));
		else
			snprintf(error, sizeof(error), "no file is named");
		if (t->recipients[i] == NULL) {
			log_event(t->process.log, LOG_LEVEL_ERROR, "recipients", "destination",
				  d->pattern, "error", error, NULL);
			return false;
		}
	}
	return true;
}

static bool open_rate(struct rate **r, long per_minute)
{
	if (per_minute > 0)
		*r = rate_new((uint32_t)per_minute);
	return per_minute == 0 || *r != NULL;
}

bool intake_rcpt_open(struct intake *t)
{
	const struct conf *f = t->process.birth.conf;
	return open_rate(&t->rate, f->relay_messages_per_minute) &&
	       open_rate(&t->stranger_messages, f->relay_client_messages_per_minute) &&
	       open_rate(&t->stranger_recipients, f->relay_client_recipients_per_minute) &&
	       load_recipients(t);
}

void intake_rcpt_close(struct intake *t)
{
	for (size_t i = 0; t->recipients != NULL && i < t->process.birth.conf->ndestination; i++)
		recipients_free(&t->recipients[i]);
	free(t->recipients);
	rate_free(&t->rate);
	rate_free(&t->stranger_messages);
	rate_free(&t->stranger_recipients);
}
