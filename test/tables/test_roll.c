/* SPDX-License-Identifier: MIT */
/* The rollover machine: one row for each transition and each refusal (RFC 7671 s8.1, s8.4; RFC 6698
 * appendix A.4). Then a whole world of resolvers, to see that no sender is ever left behind. */
#include "table.h"

#include "roll/roll.h"

/* The macros below say what is usual; a row says what is not. */
#pragma GCC diagnostic ignored "-Woverride-init"

enum {
	NOW = 1000000,
	TTL = 300,
	LATE = NOW - 2 * TTL, /* a wait that began here is just over */
	MIDDLE = NOW - TTL,   /* and this one is half over */
	BOOT = 7,
	TICKS = 50000
};

struct roll_row {
	const char *rule;
	struct roll roll;
	struct roll_facts f;
	enum roll_state state;
	enum roll_act act;
	enum roll_why why;
	int64_t until; /* afterwards */
};

/* A rollover in this state whose wait began at b. */
#define AT(st, b)                                                                                  \
	.state = (st), .has_old = true, .hold_s = TTL, .settle_s = -1, .since = (b),               \
	.until = (b) != 0 ? (b) + 2 * TTL : 0, .boot = BOOT, .ticks = TICKS - (NOW - (b)),         \
	.seen = NOW - 1
/* Three name servers that know everything, two addresses that present the old chain. */
#define ALL                                                                                        \
	.now = NOW, .boot = BOOT, .ticks = TICKS, .key_ready = true, .zone = ROLL_ZONE_SECURE,     \
	.ttl = TTL, .servers = 3, .addresses = 2
#define OLD_SET .servers_old = 3, .servers_any_old = 3
#define NEW_SET .servers_new = 3, .servers_any_new = 3
#define BOTH OLD_SET, NEW_SET
#define ON_OLD .need_old = 2
#define ON_NEW .on_new = 2, .need_new = 2

static const struct roll_row rows[] = {
    /* make */
    {"the next key is made first",
     {AT(ROLL_MAKE, 0)},
     {.now = NOW},
     ROLL_MAKE,
     ROLL_MAKE_KEY,
     ROLL_WHY_MAKING,
     0},
    {"it is there",
     {AT(ROLL_MAKE, 0)},
     {.now = NOW, .key_ready = true},
     ROLL_PUBLISH,
     ROLL_NOTHING,
     ROLL_WHY_STEP,
     0},
    /* publish */
    {"RFC 7671 s8.1: the next record is published beside the present one",
     {AT(ROLL_PUBLISH, 0)},
     {ALL, OLD_SET, ON_OLD},
     ROLL_PUBLISH,
     ROLL_ADD,
     ROLL_WHY_ADDING,
     0},
    {"one name server is behind",
     {AT(ROLL_PUBLISH, 0)},
     {ALL, OLD_SET, .servers_new = 2, .servers_any_new = 2, ON_OLD},
     ROLL_PUBLISH,
     ROLL_ADD,
     ROLL_WHY_ADDING,
     0},
    {"the present record must not be replaced",
     {AT(ROLL_PUBLISH, 0)},
     {ALL, NEW_SET, ON_OLD},
     ROLL_PUBLISH,
     ROLL_ADD,
     ROLL_WHY_ADDING,
     0},
    {"every name server has both: the wait begins",
     {AT(ROLL_PUBLISH, 0)},
     {ALL, BOTH, ON_OLD},
     ROLL_WAIT,
     ROLL_NOTHING,
     ROLL_WHY_STEP,
     NOW + 2 * TTL},
    {"the TTL of the set of before counts",
     {AT(ROLL_PUBLISH, 0), .hold_s = 4 * TTL},
     {ALL, BOTH, ON_OLD},
     ROLL_WAIT,
     ROLL_NOTHING,
     ROLL_WHY_STEP,
     NOW + 8 * TTL},
    {"a first record: the wait is for the absence",
     {AT(ROLL_PUBLISH, 0), .has_old = false},
     {ALL, NEW_SET, ON_OLD},
     ROLL_WAIT,
     ROLL_NOTHING,
     ROLL_WHY_STEP,
     NOW + 2 * TTL},
    {"deployed before it was published",
     {AT(ROLL_PUBLISH, 0)},
     {ALL, OLD_SET, .on_new = 2, .need_new = 2},
     ROLL_PUBLISH,
     ROLL_ADD,
     ROLL_WHY_EARLY,
     0},
    {"a first record: the server has its only key already",
     {AT(ROLL_PUBLISH, 0), .has_old = false},
     {ALL, .on_new = 2, .need_new = 2},
     ROLL_PUBLISH,
     ROLL_ADD,
     ROLL_WHY_ADDING,
     0},
    {"the lookup failed: stay",
     {AT(ROLL_PUBLISH, 0)},
     {ALL, BOTH, .zone = ROLL_ZONE_FAILED},
     ROLL_PUBLISH,
     ROLL_NOTHING,
     ROLL_WHY_LOOKUP_FAILED,
     0},
    {"the zone is not signed any more",
     {AT(ROLL_PUBLISH, 0)},
     {ALL, BOTH, .zone = ROLL_ZONE_INSECURE},
     ROLL_PUBLISH,
     ROLL_NOTHING,
     ROLL_WHY_INSECURE,
     0},
    {"a name server cannot be asked: it may be behind",
     {AT(ROLL_PUBLISH, 0)},
     {ALL, BOTH, .servers_failed = 1},
     ROLL_PUBLISH,
     ROLL_NOTHING,
     ROLL_WHY_SERVER_FAILED,
     0},
    {"no name server is known",
     {AT(ROLL_PUBLISH, 0)},
     {ALL, .servers = 0},
     ROLL_PUBLISH,
     ROLL_NOTHING,
     ROLL_WHY_SERVER_FAILED,
     0},
    /* wait */
    {"never deploy before the wait is over",
     {AT(ROLL_WAIT, MIDDLE)},
     {ALL, BOTH, ON_OLD},
     ROLL_WAIT,
     ROLL_NOTHING,
     ROLL_WHY_WAITING,
     MIDDLE + 2 * TTL},
    {"one second before",
     {AT(ROLL_WAIT, LATE + 1)},
     {ALL, BOTH, ON_OLD},
     ROLL_WAIT,
     ROLL_NOTHING,
     ROLL_WHY_WAITING,
     LATE + 1 + 2 * TTL},
    {"the wait is over",
     {AT(ROLL_WAIT, LATE)},
     {ALL, BOTH, ON_OLD},
     ROLL_DEPLOY,
     ROLL_NOTHING,
     ROLL_WHY_STEP,
     0},
    {"deployed during the wait",
     {AT(ROLL_WAIT, MIDDLE)},
     {ALL, BOTH, ON_NEW},
     ROLL_WAIT,
     ROLL_NOTHING,
     ROLL_WHY_EARLY,
     MIDDLE + 2 * TTL},
    {"the new record vanished: the wait begins anew",
     {AT(ROLL_WAIT, LATE)},
     {ALL, OLD_SET, ON_OLD},
     ROLL_PUBLISH,
     ROLL_NOTHING,
     ROLL_WHY_VANISHED,
     0},
    {"from one name server only",
     {AT(ROLL_WAIT, LATE)},
     {ALL, OLD_SET, .servers_new = 2, ON_OLD},
     ROLL_PUBLISH,
     ROLL_NOTHING,
     ROLL_WHY_VANISHED,
     0},
    {"the old record vanished",
     {AT(ROLL_WAIT, LATE)},
     {ALL, NEW_SET, ON_OLD},
     ROLL_PUBLISH,
     ROLL_NOTHING,
     ROLL_WHY_VANISHED,
     0},
    {"the TTL was raised meanwhile",
     {AT(ROLL_WAIT, LATE)},
     {ALL, BOTH, .ttl = 2 * TTL, ON_OLD},
     ROLL_WAIT,
     ROLL_NOTHING,
     ROLL_WHY_TTL_RAISED,
     LATE + 4 * TTL},
    {"the TTL was lowered: what was given out counts",
     {AT(ROLL_WAIT, MIDDLE)},
     {ALL, BOTH, .ttl = 1, ON_OLD},
     ROLL_WAIT,
     ROLL_NOTHING,
     ROLL_WHY_WAITING,
     MIDDLE + 2 * TTL},
    {"the clock was set back: the wait begins anew",
     {AT(ROLL_WAIT, MIDDLE), .seen = NOW + 3600},
     {ALL, BOTH, ON_OLD},
     ROLL_WAIT,
     ROLL_NOTHING,
     ROLL_WHY_CLOCK_BACK,
     NOW + 2 * TTL},
    {"the wait began in the future",
     {AT(ROLL_WAIT, NOW + 999)},
     {ALL, BOTH, ON_OLD},
     ROLL_WAIT,
     ROLL_NOTHING,
     ROLL_WHY_CLOCK_BACK,
     NOW + 2 * TTL},
    {"a clock that is corrected by a second is no reason",
     {AT(ROLL_WAIT, LATE), .seen = NOW + 1},
     {ALL, BOTH, ON_OLD},
     ROLL_DEPLOY,
     ROLL_NOTHING,
     ROLL_WHY_STEP,
     0},
    {"the clock was set forward",
     {AT(ROLL_WAIT, LATE)},
     {ALL, BOTH, ON_OLD, .ticks = TICKS - TTL},
     ROLL_WAIT,
     ROLL_NOTHING,
     ROLL_WHY_CLOCK_FORWARD,
     LATE + 2 * TTL},
    {"after a reboot the wall clock counts alone",
     {AT(ROLL_WAIT, LATE)},
     {ALL, BOTH, ON_OLD, .boot = BOOT + 1, .ticks = 3},
     ROLL_DEPLOY,
     ROLL_NOTHING,
     ROLL_WHY_STEP,
     0},
    {"the lookup failed: stay",
     {AT(ROLL_WAIT, LATE)},
     {ALL, BOTH, .zone = ROLL_ZONE_FAILED},
     ROLL_WAIT,
     ROLL_NOTHING,
     ROLL_WHY_LOOKUP_FAILED,
     LATE + 2 * TTL},
    {"the zone is insecure now: stay",
     {AT(ROLL_WAIT, LATE)},
     {ALL, BOTH, .zone = ROLL_ZONE_INSECURE},
     ROLL_WAIT,
     ROLL_NOTHING,
     ROLL_WHY_INSECURE,
     LATE + 2 * TTL},
    {"a name server cannot be asked: stay",
     {AT(ROLL_WAIT, LATE)},
     {ALL, BOTH, .servers_failed = 1},
     ROLL_WAIT,
     ROLL_NOTHING,
     ROLL_WHY_SERVER_FAILED,
     LATE + 2 * TTL},
    /* deploy */
    {"the new certificate goes into service",
     {AT(ROLL_DEPLOY, 0)},
     {ALL, BOTH, ON_OLD},
     ROLL_DEPLOY,
     ROLL_PUT_IN,
     ROLL_WHY_PUTTING_IN,
     0},
    {"once",
     {AT(ROLL_DEPLOY, 0), .put_in = true},
     {ALL, BOTH, ON_OLD},
     ROLL_DEPLOY,
     ROLL_NOTHING,
     ROLL_WHY_NOT_SERVED,
     0},
    {"one address still has the old one",
     {AT(ROLL_DEPLOY, 0), .put_in = true},
     {ALL, BOTH, .on_new = 1, .need_new = 1, .need_old = 1},
     ROLL_DEPLOY,
     ROLL_NOTHING,
     ROLL_WHY_NOT_SERVED,
     0},
    {"every address, but one of them also has an old chain (RSA and ECDSA)",
     {AT(ROLL_DEPLOY, 0), .put_in = true},
     {ALL, BOTH, .on_new = 2, .need_old = 1},
     ROLL_DEPLOY,
     ROLL_NOTHING,
     ROLL_WHY_NOT_SERVED,
     0},
    {"it is in service everywhere",
     {AT(ROLL_DEPLOY, 0)},
     {ALL, BOTH, ON_NEW},
     ROLL_SETTLE,
     ROLL_NOTHING,
     ROLL_WHY_STEP,
     NOW + 2 * TTL},
    {"the operator's own time to settle",
     {AT(ROLL_DEPLOY, 0), .settle_s = 5},
     {ALL, BOTH, ON_NEW},
     ROLL_SETTLE,
     ROLL_NOTHING,
     ROLL_WHY_STEP,
     NOW + 5},
    {"an address says nothing",
     {AT(ROLL_DEPLOY, 0)},
     {ALL, BOTH, .on_new = 1, .unreached = 1},
     ROLL_DEPLOY,
     ROLL_NOTHING,
     ROLL_WHY_UNREACHED,
     0},
    {"no address is known",
     {AT(ROLL_DEPLOY, 0)},
     {ALL, BOTH, .addresses = 0},
     ROLL_DEPLOY,
     ROLL_NOTHING,
     ROLL_WHY_UNREACHED,
     0},
    {"the new record vanished before anybody needed it",
     {AT(ROLL_DEPLOY, 0)},
     {ALL, OLD_SET, ON_OLD},
     ROLL_PUBLISH,
     ROLL_NOTHING,
     ROLL_WHY_VANISHED,
     0},
    {"the new record vanished, and is needed",
     {AT(ROLL_DEPLOY, 0)},
     {ALL, OLD_SET, ON_NEW},
     ROLL_DEPLOY,
     ROLL_ADD,
     ROLL_WHY_NEEDED,
     0},
    {"the old record was taken out too early",
     {AT(ROLL_DEPLOY, 0)},
     {ALL, NEW_SET, ON_OLD},
     ROLL_DEPLOY,
     ROLL_ADD,
     ROLL_WHY_NEEDED,
     0},
    {"the lookup failed: stay",
     {AT(ROLL_DEPLOY, 0)},
     {ALL, BOTH, .zone = ROLL_ZONE_FAILED},
     ROLL_DEPLOY,
     ROLL_NOTHING,
     ROLL_WHY_LOOKUP_FAILED,
     0},
    {"the zone is insecure now: stay",
     {AT(ROLL_DEPLOY, 0)},
     {ALL, BOTH, .zone = ROLL_ZONE_INSECURE},
     ROLL_DEPLOY,
     ROLL_NOTHING,
     ROLL_WHY_INSECURE,
     0},
    /* settle */
    {"both records stay for a while",
     {AT(ROLL_SETTLE, MIDDLE)},
     {ALL, BOTH, ON_NEW},
     ROLL_SETTLE,
     ROLL_NOTHING,
     ROLL_WHY_SETTLING,
     MIDDLE + 2 * TTL},
    {"long enough",
     {AT(ROLL_SETTLE, LATE)},
     {ALL, BOTH, ON_NEW},
     ROLL_RETIRE,
     ROLL_NOTHING,
     ROLL_WHY_STEP,
     0},
    {"the old chain is back",
     {AT(ROLL_SETTLE, LATE), .put_in = true},
     {ALL, BOTH, ON_OLD},
     ROLL_DEPLOY,
     ROLL_NOTHING,
     ROLL_WHY_STILL_SERVED,
     0},
    {"the new record vanished, and is needed",
     {AT(ROLL_SETTLE, MIDDLE)},
     {ALL, OLD_SET, ON_NEW},
     ROLL_SETTLE,
     ROLL_ADD,
     ROLL_WHY_NEEDED,
     MIDDLE + 2 * TTL},
    {"the old record was taken out by hand, nobody needs it",
     {AT(ROLL_SETTLE, LATE)},
     {ALL, NEW_SET, ON_NEW},
     ROLL_RETIRE,
     ROLL_NOTHING,
     ROLL_WHY_STEP,
     0},
    {"an address says nothing",
     {AT(ROLL_SETTLE, LATE)},
     {ALL, BOTH, .on_new = 1, .unreached = 1},
     ROLL_SETTLE,
     ROLL_NOTHING,
     ROLL_WHY_UNREACHED,
     LATE + 2 * TTL},
    {"the clock was set back",
     {AT(ROLL_SETTLE, MIDDLE), .seen = NOW + 60},
     {ALL, BOTH, ON_NEW},
     ROLL_SETTLE,
     ROLL_NOTHING,
     ROLL_WHY_CLOCK_BACK,
     NOW + 2 * TTL},
    {"the lookup failed: stay",
     {AT(ROLL_SETTLE, LATE)},
     {ALL, BOTH, .zone = ROLL_ZONE_FAILED},
     ROLL_SETTLE,
     ROLL_NOTHING,
     ROLL_WHY_LOOKUP_FAILED,
     LATE + 2 * TTL},
    /* retire */
    {"the old record goes",
     {AT(ROLL_RETIRE, 0)},
     {ALL, BOTH, ON_NEW},
     ROLL_RETIRE,
     ROLL_DROP_OLD,
     ROLL_WHY_DROPPING_OLD,
     0},
    {"one name server still has it",
     {AT(ROLL_RETIRE, 0)},
     {ALL, NEW_SET, .servers_any_old = 1, ON_NEW},
     ROLL_RETIRE,
     ROLL_DROP_OLD,
     ROLL_WHY_DROPPING_OLD,
     0},
    {"it is gone everywhere",
     {AT(ROLL_RETIRE, 0)},
     {ALL, NEW_SET, ON_NEW},
     ROLL_DONE,
     ROLL_NOTHING,
     ROLL_WHY_STEP,
     0},
    {"a first record: nothing to retire",
     {AT(ROLL_RETIRE, 0), .has_old = false},
     {ALL, NEW_SET, ON_NEW},
     ROLL_DONE,
     ROLL_NOTHING,
     ROLL_WHY_STEP,
     0},
    {"never retire a record while its key is served",
     {AT(ROLL_RETIRE, 0), .put_in = true},
     {ALL, BOTH, .on_new = 1, .need_new = 1, .need_old = 1},
     ROLL_DEPLOY,
     ROLL_NOTHING,
     ROLL_WHY_STILL_SERVED,
     0},
    {"nor by one chain of an address that also has the new one",
     {AT(ROLL_RETIRE, 0)},
     {ALL, BOTH, .on_new = 2, .need_old = 1},
     ROLL_DEPLOY,
     ROLL_NOTHING,
     ROLL_WHY_STILL_SERVED,
     0},
    {"the old chain is back while its record is on its way out",
     {AT(ROLL_RETIRE, 0), .dropping = true},
     {ALL, BOTH, ON_OLD},
     ROLL_RETIRE,
     ROLL_ADD,
     ROLL_WHY_NEEDED,
     0},
    {"it was retired at one server, and is needed again",
     {AT(ROLL_RETIRE, 0)},
     {ALL, NEW_SET, .servers_old = 2, .servers_any_old = 2, .need_old = 1},
     ROLL_RETIRE,
     ROLL_ADD,
     ROLL_WHY_NEEDED,
     0},
    {"what is served is not known: stay",
     {AT(ROLL_RETIRE, 0)},
     {ALL, BOTH, .on_new = 1, .unreached = 1},
     ROLL_RETIRE,
     ROLL_NOTHING,
     ROLL_WHY_UNREACHED,
     0},
    {"the new record vanished",
     {AT(ROLL_RETIRE, 0)},
     {ALL, OLD_SET, ON_NEW},
     ROLL_RETIRE,
     ROLL_ADD,
     ROLL_WHY_NEEDED,
     0},
    {"the zone is insecure now: stay",
     {AT(ROLL_RETIRE, 0)},
     {ALL, BOTH, ON_NEW, .zone = ROLL_ZONE_INSECURE},
     ROLL_RETIRE,
     ROLL_NOTHING,
     ROLL_WHY_INSECURE,
     0},
    {"done is done, whatever is seen",
     {AT(ROLL_DONE, 0)},
     {.now = NOW},
     ROLL_DONE,
     ROLL_NOTHING,
     ROLL_WHY_DONE,
     0},
    /* the way back */
    {"back before anything was deployed",
     {AT(ROLL_RESTORE, 0)},
     {ALL, BOTH, ON_OLD},
     ROLL_WITHDRAW,
     ROLL_NOTHING,
     ROLL_WHY_STEP,
     0},
    {"the new record is withdrawn",
     {AT(ROLL_WITHDRAW, 0)},
     {ALL, BOTH, ON_OLD},
     ROLL_WITHDRAW,
     ROLL_DROP_NEW,
     ROLL_WHY_DROPPING_NEW,
     0},
    {"it is gone",
     {AT(ROLL_WITHDRAW, 0)},
     {ALL, OLD_SET, ON_OLD},
     ROLL_ABORTED,
     ROLL_NOTHING,
     ROLL_WHY_STEP,
     0},
    {"back after the deployment: the old certificate first",
     {AT(ROLL_RESTORE, 0)},
     {ALL, BOTH, ON_NEW},
     ROLL_RESTORE,
     ROLL_NOTHING,
     ROLL_WHY_RESTORING,
     0},
    {"never withdraw a record that is needed",
     {AT(ROLL_WITHDRAW, 0)},
     {ALL, BOTH, .on_new = 1, .need_new = 1, .need_old = 1},
     ROLL_RESTORE,
     ROLL_NOTHING,
     ROLL_WHY_RESTORING,
     0},
    {"the old record was gone: resolvers need time first",
     {AT(ROLL_RESTORE, 0)},
     {ALL, NEW_SET, ON_NEW},
     ROLL_RESTORE,
     ROLL_ADD,
     ROLL_WHY_RESTORE_LATER,
     NOW + 2 * TTL},
    {"that time is not over",
     {AT(ROLL_RESTORE, MIDDLE)},
     {ALL, BOTH, ON_NEW},
     ROLL_RESTORE,
     ROLL_NOTHING,
     ROLL_WHY_RESTORE_LATER,
     MIDDLE + 2 * TTL},
    {"that time is over",
     {AT(ROLL_RESTORE, LATE)},
     {ALL, BOTH, ON_NEW},
     ROLL_RESTORE,
     ROLL_NOTHING,
     ROLL_WHY_RESTORING,
     LATE + 2 * TTL},
    {"what is served is not known: stay",
     {AT(ROLL_WITHDRAW, 0)},
     {ALL, BOTH, .unreached = 2},
     ROLL_WITHDRAW,
     ROLL_NOTHING,
     ROLL_WHY_UNREACHED,
     0},
    {"the lookup failed: stay",
     {AT(ROLL_WITHDRAW, 0)},
     {ALL, BOTH, .zone = ROLL_ZONE_FAILED},
     ROLL_WITHDRAW,
     ROLL_NOTHING,
     ROLL_WHY_LOOKUP_FAILED,
     0},
    {"a first record is withdrawn though its key is served: no record is left to fail",
     {AT(ROLL_WITHDRAW, 0), .has_old = false},
     {ALL, NEW_SET, ON_NEW},
     ROLL_WITHDRAW,
     ROLL_DROP_NEW,
     ROLL_WHY_DROPPING_NEW,
     0},
    {"but not when others are left",
     {AT(ROLL_WITHDRAW, 0), .has_old = false},
     {ALL, NEW_SET, ON_NEW, .others = 1},
     ROLL_RESTORE,
     ROLL_NOTHING,
     ROLL_WHY_RESTORING,
     0},
    {"aborted is aborted",
     {AT(ROLL_ABORTED, 0)},
     {.now = NOW},
     ROLL_ABORTED,
     ROLL_NOTHING,
     ROLL_WHY_ABORTED,
     0},
};

static const struct roll_row aborts[] = {
    {"nothing was published yet",
     {AT(ROLL_MAKE, 0)},
     {.now = NOW},
     ROLL_ABORTED,
     ROLL_NOTHING,
     ROLL_WHY_STEP,
     0},
    {"before the wait",
     {AT(ROLL_PUBLISH, 0)},
     {.now = NOW},
     ROLL_RESTORE,
     ROLL_NOTHING,
     ROLL_WHY_STEP,
     0},
    {"during the wait",
     {AT(ROLL_WAIT, MIDDLE)},
     {.now = NOW},
     ROLL_RESTORE,
     ROLL_NOTHING,
     ROLL_WHY_STEP,
     0},
    {"while deploying",
     {AT(ROLL_DEPLOY, 0)},
     {.now = NOW},
     ROLL_RESTORE,
     ROLL_NOTHING,
     ROLL_WHY_STEP,
     0},
    {"while both records stay",
     {AT(ROLL_SETTLE, MIDDLE)},
     {.now = NOW},
     ROLL_RESTORE,
     ROLL_NOTHING,
     ROLL_WHY_STEP,
     0},
    {"the old record is still everywhere",
     {AT(ROLL_RETIRE, 0)},
     {ALL, BOTH, ON_NEW},
     ROLL_RESTORE,
     ROLL_NOTHING,
     ROLL_WHY_STEP,
     0},
    {"the old record is going, though no name server has followed",
     {AT(ROLL_RETIRE, 0), .dropping = true},
     {ALL, BOTH, ON_NEW},
     ROLL_RETIRE,
     ROLL_NOTHING,
     ROLL_WHY_TOO_LATE,
     0},
    {"the old record is going",
     {AT(ROLL_RETIRE, 0)},
     {ALL, NEW_SET, .servers_old = 2, .servers_any_old = 2, ON_NEW},
     ROLL_RETIRE,
     ROLL_NOTHING,
     ROLL_WHY_TOO_LATE,
     0},
    {"whether it is going is not known",
     {AT(ROLL_RETIRE, 0)},
     {.now = NOW},
     ROLL_RETIRE,
     ROLL_NOTHING,
     ROLL_WHY_LOOKUP_FAILED,
     0},
    {"too late", {AT(ROLL_DONE, 0)}, {.now = NOW}, ROLL_DONE, ROLL_NOTHING, ROLL_WHY_TOO_LATE, 0},
    {"twice",
     {AT(ROLL_RESTORE, 0)},
     {.now = NOW},
     ROLL_RESTORE,
     ROLL_NOTHING,
     ROLL_WHY_RESTORING,
     0},
    {"twice, when it is over",
     {AT(ROLL_ABORTED, 0)},
     {.now = NOW},
     ROLL_ABORTED,
     ROLL_NOTHING,
     ROLL_WHY_ABORTED,
     0},
};

typedef void machine(const struct roll *r, const struct roll_facts *f, struct roll_move *out);

static void play(const struct roll_row *row, machine *run)
{
	struct roll_move m;
	run(&row->roll, &row->f, &m);
	if (m.next.state != row->state || m.act != row->act || m.why != row->why ||
	    m.next.until != row->until)
		fail_msg("%s: in state %s: got %s act %d %s until %+lld, wanted %s act %d %s until "
			 "%+lld",
			 row->rule, roll_state_name(row->roll.state), roll_state_name(m.next.state),
			 m.act, roll_why_name(m.why), (long long)m.next.until - NOW,
			 roll_state_name(row->state), row->act, roll_why_name(row->why),
			 (long long)row->until - NOW);
	assert_int_equal(m.next.seen, row->f.now);
	if (m.act != ROLL_NOTHING || m.next.state != row->roll.state)
		assert_int_equal(m.stance, ROLL_GOES);
	else
		assert_int_equal(m.stance, roll_why_stance(row->why));
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		play(&rows[i], roll_step);
}

static void test_aborts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(aborts) / sizeof(aborts[0]); i++)
		play(&aborts[i], roll_abort);
}

/* Whatever is not known, and whatever is unsafe, moves nothing: every combination of facts. */
static void test_sweep(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 1u << 12; bits++) {
		struct roll_facts f = {.now = NOW,
				       .boot = BOOT,
				       .ticks = TICKS,
				       .key_ready = true,
				       .ttl = TTL,
				       .servers = 2,
				       .addresses = 2};
		f.zone = (enum roll_zone)((bits & 3) % 3);
		f.servers_failed = bits >> 2 & 1;
		f.servers_old = f.servers_any_old = bits >> 3 & 2;
		f.servers_new = f.servers_any_new = bits >> 4 & 2;
		f.unreached = bits >> 6 & 1;
		f.on_new = (bits >> 7 & 3) % 3;
		f.need_old = bits >> 9 & 1;
		f.need_new = bits >> 10 & 1;
		for (int s = ROLL_PUBLISH; s < ROLL_DONE; s++) {
			struct roll r = {AT((enum roll_state)s, bits >> 11 & 1 ? LATE : MIDDLE)};
			struct roll_move m;
			roll_step(&r, &f, &m);
			bool blind = f.zone != ROLL_ZONE_SECURE || f.servers_failed > 0;
			if (blind) {
				assert_int_equal(m.next.state, s);
				assert_int_equal(m.act, ROLL_NOTHING);
			}
			if (m.act == ROLL_DROP_OLD || m.next.state == ROLL_DONE) {
				assert_int_equal(f.need_old, 0);
				assert_int_equal(f.unreached, 0);
				assert_int_equal(f.on_new, f.addresses);
				assert_int_equal(f.servers_new, f.servers);
			}
			if (m.act == ROLL_PUT_IN)
				assert_true(s == ROLL_DEPLOY && f.servers_new == f.servers &&
					    f.servers_old == f.servers);
			if (s == ROLL_WAIT && m.next.state == ROLL_DEPLOY)
				assert_true(r.since == LATE);
		}
	}
}

/* --- A world --- */

/* Two name servers that follow each other slowly, resolvers that fetch whenever they like and keep
 * what they get for its TTL and as long again behind another cache, one mail server. The operator
 * does what the machine says, sometimes late. */
enum { SERVERS = 2, RESOLVERS = 8, STEPS = 4000 };

struct set {
	bool old, new;
};

struct world {
	uint32_t random;
	int64_t now;
	uint32_t ttl;
	struct set server[SERVERS], wanted, cached[RESOLVERS];
	int64_t until[RESOLVERS];
	bool served_new;
	int64_t put_in_at;
	unsigned broken;
};

static uint32_t dice(struct world *w, uint32_t n)
{
	w->random = w->random * 1664525u + 1013904223u;
	return (w->random >> 8) % n;
}

static void live(struct world *w)
{
	w->now++;
	for (int i = 0; i < SERVERS; i++) {
		if (dice(w, 5) == 0)
			w->server[i] = w->wanted;
	}
	for (int i = 0; i < RESOLVERS; i++) {
		if (w->now >= w->until[i] && dice(w, 3) == 0) {
			w->cached[i] = w->server[dice(w, SERVERS)];
			w->until[i] = w->now + w->ttl + dice(w, w->ttl);
		}
		bool satisfied = w->served_new ? w->cached[i].new : w->cached[i].old;
		if (w->now < w->until[i] && !satisfied)
			w->broken++;
	}
}

static void look(const struct world *w, struct roll_facts *f)
{
	*f = (struct roll_facts){.now = w->now,
				 .ticks = w->now,
				 .key_ready = true,
				 .zone = ROLL_ZONE_SECURE,
				 .ttl = w->ttl,
				 .servers = SERVERS,
				 .addresses = 1,
				 .on_new = w->served_new,
				 .need_old = !w->served_new,
				 .need_new = w->served_new};
	for (int i = 0; i < SERVERS; i++) {
		f->servers_old += w->server[i].old;
		f->servers_new += w->server[i].new;
	}
	f->servers_any_old = f->servers_old;
	f->servers_any_new = f->servers_new;
}

static void obey(struct world *w, struct roll *r, enum roll_act act)
{
	switch (act) {
	case ROLL_NOTHING:
	case ROLL_MAKE_KEY:
		return;
	case ROLL_ADD:
		w->wanted = (struct set){true, true};
		return;
	case ROLL_PUT_IN:
		w->served_new = true;
		r->put_in = true;
		return;
	case ROLL_DROP_OLD:
		w->wanted.old = false;
		return;
	case ROLL_DROP_NEW:
		w->wanted.new = false;
		return;
	}
}

/* Plays one rollover; turns round after `abort_after` looks. Returns the state at the end. */
static enum roll_state live_through(uint32_t seed, int abort_after, unsigned *broken)
{
	struct world w = {
	    .random = seed, .now = 1000, .ttl = 5 + seed % 20, .wanted = {.old = true}};
	struct roll r;
	roll_begin(&r, true, -1);
	for (int i = 0; i < SERVERS; i++)
		w.server[i] = w.wanted;
	for (int i = 0; i < STEPS; i++) {
		struct roll_facts f;
		struct roll_move m;
		live(&w);
		if (dice(&w, 4) != 0)
			continue;
		look(&w, &f);
		if (abort_after >= 0 && abort_after-- == 0)
			roll_abort(&r, &f, &m);
		else
			roll_step(&r, &f, &m);
		r = m.next;
		if (dice(&w, 8) != 0) /* else it was killed before it acted */
			obey(&w, &r, m.act);
		if (m.why == ROLL_WHY_RESTORING && r.state == ROLL_RESTORE && m.act == ROLL_NOTHING)
			w.served_new = false;
	}
	*broken = w.broken;
	return r.state;
}

static void test_world(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 300; seed++) {
		unsigned broken;
		enum roll_state end = live_through(seed, -1, &broken);
		if (broken > 0 || end != ROLL_DONE)
			fail_msg("seed %u: %u senders left behind, ends in %s", seed, broken,
				 roll_state_name(end));
		end = live_through(seed, (int)(seed % 40), &broken);
		if (broken > 0 || (end != ROLL_ABORTED && end != ROLL_DONE))
			fail_msg("seed %u, aborted: %u senders left behind, ends in %s", seed,
				 broken, roll_state_name(end));
	}
}

static void test_words(void **state)
{
	(void)state;
	for (int i = 0; i < ROLL_STATES; i++) {
		enum roll_state back = ROLL_STATES;
		assert_true(roll_state_from_name(roll_state_name((enum roll_state)i), &back));
		assert_int_equal(back, i);
		assert_true(roll_state_text((enum roll_state)i)[0] != '\0');
	}
	enum roll_state none;
	assert_false(roll_state_from_name("nothing", &none));
	for (int i = 0; i < ROLL_WHYS; i++) {
		enum roll_why w = (enum roll_why)i;
		assert_true(roll_why_text(w)[0] != '\0');
		/* Who is blocked is told what to do. */
		if (roll_why_stance(w) == ROLL_BLOCKED || roll_why_stance(w) == ROLL_UNKNOWN)
			assert_true(roll_why_cure(w)[0] != '\0');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),  cmocka_unit_test(test_aborts),
	    cmocka_unit_test(test_sweep), cmocka_unit_test(test_world),
	    cmocka_unit_test(test_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
