/* SPDX-License-Identifier: MIT */
/*
 * The times of one delivery and the class of a reason: functions without memory.
 *
 * Knows the configuration. Refuses to know destinations and what else is in the queue.
 */
#include "sched/room.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };

const struct sched_config SCHED_CONFIG_DEFAULT = {
    .destinations = 16384,
    .lookahead = 32,
    .slots = 2000,
    .start = 2,
    .limit = 40,
    .quantum = 4,
    .octets = (uint64_t)256 << 20,
    .retry_first = 5 * MINUTE, /* RFC 5321 s4.5.4.1 */
    .retry_max = 4 * HOUR,
    .back_off_first = 5 * MINUTE,
    .back_off_max = HOUR,
    .local_rest = 10 * SECOND,
    .lifetime = 5 * 24 * (int64_t)HOUR,
    .warn_after = 4 * HOUR,
    .jitter = 10,
};

static bool in_range(uint32_t v, uint32_t min, uint32_t max)
{
	return v >= min && v <= max;
}

static bool times_ok(int64_t first, int64_t max)
{
	return first > 0 && first <= max && max <= INT64_MAX / 1000;
}

const char *sched_config_error(const struct sched_config *c)
{
	if (!in_range(c->destinations, 1, SCHED_DESTINATIONS_MAX))
		return "the number of destinations is out of range";
	if (!in_range(c->lookahead, 1, SCHED_LOOKAHEAD_MAX))
		return "the look-ahead is out of range";
	if (!in_range(c->slots, 1, SCHED_SLOTS_MAX))
		return "the number of slots is out of range";
	if (!in_range(c->limit, 1, SCHED_SLOTS_MAX) || !in_range(c->start, 1, c->limit))
		return "the concurrency of a destination is out of range";
	if (!in_range(c->quantum, 1, SCHED_COST_MAX))
		return "the quantum is out of range";
	if (!times_ok(c->retry_first, c->retry_max) ||
	    !times_ok(c->back_off_first, c->back_off_max) ||
	    !times_ok(c->local_rest, INT64_MAX / 1000) ||
	    !times_ok(c->lifetime, INT64_MAX / 1000) || c->warn_after < 0)
		return "a time is out of range";
	return c->jitter < 100 ? NULL : "the jitter is out of range";
}

uint64_t sched_mix(uint64_t seed, uint64_t a, uint64_t b)
{
	uint64_t x = seed + a * 0x9e3779b97f4a7c15u + b * 0xd1b54a32d192ed03u;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

int64_t sched_jitter(int64_t d, uint32_t percent, uint64_t h)
{
	int64_t span = d / 100 * percent;

	return d - span + (int64_t)(h % (uint64_t)(2 * span + 1));
}

int64_t sched_double(int64_t first, int64_t max, uint32_t n)
{
	int64_t d = first;

	for (uint32_t i = 1; i < n && d < max; i++)
		d = d > max / 2 ? max : 2 * d;
	return d < max ? d : max;
}

int64_t sched_expires_at(const struct sched_config *c, int64_t arrived)
{
	return arrived + c->lifetime;
}

int64_t sched_warn_at(const struct sched_config *c, int64_t arrived)
{
	return c->warn_after > 0 ? arrived + c->warn_after : 0;
}

int64_t sched_notice_at(int64_t now, int64_t since)
{
	int64_t wait = now > since && now - since < HOUR ? now - since : now > since ? HOUR : 0;
	return now + (wait > MINUTE ? wait : MINUTE);
}

int64_t sched_retry_at(const struct sched_config *c, uint64_t seed, int64_t delivery,
		       uint32_t attempts, int64_t expires, int64_t now)
{
	int64_t wait = sched_double(c->retry_first, c->retry_max, attempts);
	int64_t at =
	    now + sched_jitter(wait, c->jitter, sched_mix(seed, (uint64_t)delivery, attempts));

	int64_t last = expires - c->retry_first;

	if (at <= last || now >= expires)
		return at;
	return now < last ? last : expires;
}

enum sched_class sched_class_of(enum reason r)
{
	switch (r) {
	case REASON_OK:
		return SCHED_SENT;
	case REASON_NO_SUCH_DOMAIN:
	case REASON_NULL_MX:
	case REASON_NO_ADDRESS:
	case REASON_MAIL_LOOP:
	case REASON_SMTP_DEFERRED: /* greylisting is about one recipient: no back-off for others */
	case REASON_SMTP_REJECTED:
	case REASON_TOO_BIG:
	case REASON_NO_8BITMIME:
	case REASON_NO_SMTPUTF8:
		return SCHED_RECIPIENT_TROUBLE;
	case REASON_BAD_HOST_NAME:
	case REASON_ALIAS_REFUSED:
	case REASON_DNS_FAILED:
	case REASON_DNSSEC_INVALID:
	case REASON_ADDRESS_UNPROVEN:
	case REASON_ROUTE_NOWHERE:
	case REASON_DANE_REQUIRED:
	case REASON_CONNECT_FAILED:
	case REASON_CONNECTION_LOST:
	case REASON_TIMEOUT:
	case REASON_PROTOCOL_ERROR:
	case REASON_NO_STARTTLS:
	case REASON_STARTTLS_REFUSED:
	case REASON_STARTTLS_INJECTION:
	case REASON_TLS_FAILED:
	case REASON_CERT_EXPIRED:
	case REASON_CERT_NOT_YET_VALID:
	case REASON_TLSA_INVALID:
	case REASON_CERT_HOST_MISMATCH:
	case REASON_CERT_NOT_TRUSTED:
	case REASON_CREDENTIALS_REFUSED: /* every message would, and logins that fail are counted */
		return SCHED_HOST_TROUBLE;
	case REASON_LOST_AFTER_DATA:
		return SCHED_POSSIBLY_DELIVERED;
	case REASON_AUTH_REFUSED: /* our own credentials */
	case REASON_LOCAL_ERROR:
	case REASON_COUNT:
		return SCHED_LOCAL_TROUBLE;
	}
	return SCHED_LOCAL_TROUBLE;
}

/* Refused, reset or sent away before the message had a word of its own. */
static bool is_turned_away(enum reason r, bool unwilling)
{
	return unwilling || r == REASON_CONNECT_FAILED || r == REASON_CONNECTION_LOST;
}

enum sched_class sched_class_at(enum sched_class c, enum reason r, enum sched_reach reach,
				bool unwilling)
{
	switch (c) {
	case SCHED_HOST_TROUBLE:
		if (reach >= SCHED_REACHED_MAIL)
			return SCHED_MESSAGE_TROUBLE;
		return is_turned_away(r, unwilling) ? SCHED_HOST_BUSY : c;
	case SCHED_POSSIBLY_DELIVERED:
		return reach >= SCHED_REACHED_DOT ? SCHED_MESSAGE_TROUBLE : c;
	case SCHED_RECIPIENT_TROUBLE:
		return unwilling && reach < SCHED_REACHED_MAIL ? SCHED_HOST_BUSY : c;
	case SCHED_SENT:
	case SCHED_LOCAL_TROUBLE:
	case SCHED_HOST_BUSY:
	case SCHED_MESSAGE_TROUBLE:
		return c;
	}
	return c;
}

/* A doubt outweighs all: what follows may be doubled too. Then whatever proves that somebody
 * answers. Trouble on this side hides what the host would have said. */
static int weight_of(enum sched_class c)
{
	switch (c) {
	case SCHED_POSSIBLY_DELIVERED:
		return 6;
	case SCHED_SENT:
		return 5;
	case SCHED_RECIPIENT_TROUBLE:
		return 4;
	case SCHED_MESSAGE_TROUBLE:
		return 3;
	case SCHED_LOCAL_TROUBLE:
		return 2;
	case SCHED_HOST_BUSY:
		return 1;
	case SCHED_HOST_TROUBLE:
		return 0;
	}
	return 0;
}

enum sched_class sched_class_join(enum sched_class a, enum sched_class b)
{
	return weight_of(b) > weight_of(a) ? b : a;
}

const char *sched_class_name(enum sched_class c)
{
	switch (c) {
	case SCHED_SENT:
		return "sent";
	case SCHED_RECIPIENT_TROUBLE:
		return "recipient-trouble";
	case SCHED_HOST_TROUBLE:
		return "host-trouble";
	case SCHED_HOST_BUSY:
		return "host-busy";
	case SCHED_MESSAGE_TROUBLE:
		return "message-trouble";
	case SCHED_LOCAL_TROUBLE:
		return "local-trouble";
	case SCHED_POSSIBLY_DELIVERED:
		return "possibly-delivered";
	}
	return "?";
}
