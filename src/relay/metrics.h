/* SPDX-License-Identifier: MIT */
/*
 * relay: what the keeper counts, and the Prometheus text of it. Counters start at zero with each
 * keeper; scrapers expect that.
 */
#ifndef RELAY_METRICS_H
#define RELAY_METRICS_H

#include "dane/terms.h"
#include "deliver/attempt.h"
#include "relay/mail.h"
#include "store/store.h"

enum metrics_channel { CHANNEL_AUTHENTICATED, CHANNEL_ENCRYPTED, CHANNEL_CLEAR, CHANNEL_COUNT };

/* Running totals of one courier, as it last told them. */
struct courier_stats {
	uint64_t handshakes, resumed, reused;
	/* DNS questions answered, and how long they took together */
	uint64_t questions, question_ms;
};

struct metrics {
	uint64_t accepted, refused;
	uint64_t notices_dropped;                    /* over a limit: nobody was told */
	uint64_t sent[HOST_SKIP + 1][CHANNEL_COUNT]; /* recipients, by the policy of the host */
	uint64_t deferred[REASON_COUNT], failed[REASON_COUNT];
	struct courier_stats gone; /* of couriers that ended */
	uint32_t restarts[ROLE_COUNT];
};

/* Counts the recipients of one result. */
void metrics_result(struct metrics *m, const struct result *r);
/* `now` is the sum over all couriers that live. */
void metrics_write(const struct metrics *m, const struct courier_stats *now,
		   const struct store_totals *t, int64_t now_ms, struct buf *out);

struct keeper_disk;
void metrics_disk(const struct keeper_disk *d, bool writable, struct buf *out);
struct sched_counts;
void metrics_slots(const struct sched_counts *n, struct buf *out);

struct audit_state;
void metrics_dns(bool unsafe, struct buf *out);
void metrics_audit(const struct audit_state *a, struct buf *out);

void courier_stats_add(struct courier_stats *to, const struct courier_stats *what);
void courier_stats_put(struct buf *b, const struct courier_stats *s);
bool courier_stats_get(struct slice payload, struct courier_stats *out);

#endif
