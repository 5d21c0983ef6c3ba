/* SPDX-License-Identifier: MIT */
/* Inside of the intake: what intake.c (process, listeners, keeper) and intake_client.c (one client)
 * share. */
#ifndef RELAY_INTAKE_INT_H
#define RELAY_INTAKE_INT_H

#include "relay/mail.h"
#include "relay/network.h"
#include "relay/patience.h"
#include "log/quota.h"
#include "relay/process.h"
#include "relay/rate.h"
#include "relay/recipients.h"
#include "relay/roster.h"
#include "smtp/server.h"
#include "tls/tls_server.h"
#include "users/users.h"

enum {
	NETWORKS_MAX = 1024,
	QUEUE_ID_LEN = 16,
	SPOOL_STOCK_MAX = SPOOL_FILES_MAX,
	/* A message that a keeper had when it died is handed in to the next under the same id, for
	 * as long as clients wait for sure (RFC 5321 s4.5.3.2.6: ten minutes) and few times: if it
	 * is what keepers die of, it ends. */
	AGAIN_MAX = 3,
	AGAIN_MS = 60000,
	CLIENT_LINES_A_SECOND = 50, /* stops strangers from filling the log */
};

struct intake;
struct door;

/* Who says how much a text may take. */
struct text_room {
	/* So many octets in memory; past_budget: when there is no file. */
	bool (*may_hold)(void *arg, uint64_t memory, uint64_t disk, bool past_budget);
	int (*take_file)(void *arg); /* -1: there is none */
	void (*give_file)(void *arg, int fd);
	void *arg;
};

enum mailtext_status { MAILTEXT_OK, MAILTEXT_NO_ROOM, MAILTEXT_BROKEN };

/* The text of a message on its way: in memory while it is small, then in a memory file, then in a
 * file on disk. */
struct mailtext {
	const struct text_room *room; /* NULL: all the memory there is */
	struct buf small;
	int fd; /* -1: all is in small */
	bool on_disk;
	bool lent; /* somebody else may still read the file: it is not used again */
	uint64_t granted;
	uint64_t size;
	bool eight_bit;
	unsigned received; /* Received fields seen */
	bool in_header, line_start;
	struct buf line; /* the beginning of the present header line */
};

struct client {
	struct intake *intake;
	const struct listener *listener;
	struct ipaddr address;
	int fd;
	struct loop_io *io;
	struct loop_timer *timer;
	struct smtps *smtp;
	struct smtps_config config;
	struct tlss *tls;
	bool tls_up, handshaking, over;
	bool welcome; /* the greeting was a 220 */
	bool brought_mail;
	enum standing standing;
	int32_t seat;    /* in the roster; -1: none */
	uint64_t number; /* in the order of coming */
	struct patience patience;
	uint64_t armed; /* ms: the timer fires then, not later */
	bool unread;    /* it spoke while it had to wait: nobody listens until the answer */
	struct buf wire, plain;
	struct text_room room;
	struct mailtext text;
	char queue_id[QUEUE_ID_LEN + 1];
	uint64_t token;   /* of the submission that is out; 0: none */
	uint32_t again;   /* keepers that went without an answer to it */
	uint64_t lost_at; /* ms: the first of these */
	uint64_t login;   /* waits for its turn since then; 0: does not */
	struct client *next;
};

/* Random octets on stock: one system call for many queue ids. */
enum { RANDOM_STOCK = 512 };

/* What the trace fields of one second have in common. */
struct date {
	int64_t second; /* 0: none yet */
	char text[64];
};

/* Where logins failed lately. */
enum { FAILED_NETWORKS = 1024 };
struct failed_network {
	struct ipaddr address;
	uint32_t failures; /* 0: the place is free */
	uint64_t since;
};

struct intake {
	struct process process;
	struct door *door;
	size_t ndoor;
	bool retired; /* no doors any more, but clients */
	struct client *client;
	size_t nclient;
	struct channel *keeper;     /* NULL: none; then */
	struct loop_timer *lacking; /* asks the parent for one */
	struct loop_timer *grace;   /* of a drain */
	struct channel *warden;
	bool no_starttls; /* the warden says so: relay.smtp offers none (V2) */
	uint64_t last_token;
	uint8_t random[RANDOM_STOCK];
	size_t nrandom; /* left */
	struct date date;
	char host[256];
	struct network network[NETWORKS_MAX];
	size_t nnetwork;
	struct tls_server *tls_relay, *tls_submission;
	struct users *users;
	struct loop_timer *login_timer;
	uint64_t last_login, login_after;
	struct failed_network failed[FAILED_NETWORKS];
	/* NULL: no limit */
	struct rate *rate, *stranger_messages, *stranger_recipients;
	struct recipients **recipients; /* of each destination section; NULL: none */
	struct roster *roster;
	struct loop_timer *crowd_tick;
	bool ticking;
	uint32_t seats_max; /* for the clients of all intakes */
	uint64_t last_number;
	uint32_t lines, sent_away;  /* of this second */
	int spool[SPOOL_STOCK_MAX]; /* files that no text has now */
	size_t nspool, spool_asked, spool_made;
	struct log_quota quota; /* of what strangers cause */
	struct loop_timer *left_out;
};

/* intake_crowd.c */
bool intake_crowd_open(struct intake *t); /* before the sandbox closes; false: logged */
void intake_crowd_close(struct intake *t);
void intake_crowd_meet(struct intake *t);                           /* there is a new keeper */
void intake_crowd_other(struct intake *t, uint32_t number, int fd); /* takes fd; -1: it is gone */
const char *intake_refusal(struct client *c); /* NULL: welcome, it has a seat */
void intake_leave(struct client *c);
void intake_brought_mail(struct client *c);
void intake_logged_in(struct client *c);
/* For one of this standing, whose network has so many already. Returns how many were sent away. */
size_t intake_make_room(struct intake *t, enum standing who, uint32_t network);
void intake_crowd_turn(void *arg); /* of the timer */

/* intake.c */
/* So many lines of this kind were not written; 0: nothing is said. */
void intake_log_left_out(struct intake *t, const char *kind, uint32_t n);
void intake_forget(struct client *c);

/* intake_client.c */
struct client *client_new(struct intake *t, const struct listener *l, int fd,
			  const struct ipaddr *address); /* takes fd */
void client_start(struct client *c);
void client_submitted(struct client *c, uint16_t code, const char *text); /* the keeper's answer */
/* The keeper is gone, without one: the next is asked, or the client told to come later. */
void client_keeper_gone(struct client *c);
void client_keeper_there(struct client *c);
/* As client_log(), for what a stranger can cause without end: some lines a second; how many were
 * left out is said. */
void client_log_some(struct client *c, enum log_level level, const char *event, const char *key,
		     const char *value);
void client_log(struct client *c, enum log_level level, const char *event, const char *key,
		const char *value);
void client_pump(struct client *c);         /* goes on after its machine was told something */
void client_shutdown(struct client *c);     /* at the end of what it is saying */
void client_shutdown_now(struct client *c); /* unless we owe it an answer */
void client_free(struct client *c);         /* without telling anybody */

/* False: refused. `check`: look at the password; else the client is sent away. */
bool client_login(struct client *c, bool check);

/* intake_login.c */
bool intake_same_network(const struct ipaddr *a, const struct ipaddr *b);
void intake_login(struct client *c); /* client_login() follows, from the loop */
void intake_login_turn(void *arg);   /* of the timer */

/* intake_text.c */
void mailtext_init(struct mailtext *t, const struct text_room *room); /* room outlives it */
void mailtext_free(struct mailtext *t);
/* After anything but OK there is nothing but to free it. */
enum mailtext_status mailtext_add(struct mailtext *t, struct slice bytes);

/* intake_rcpt.c */
bool intake_rcpt_open(struct intake *t);  /* before privileges go; false: logged, or no memory */
void intake_rcpt_close(struct intake *t); /* while the configuration is there */
void intake_decide_mail(struct client *c);
void intake_decide_rcpt(struct client *c);
/* The domain part as A-labels (D10), lower case; the local part as it is. */
const char *intake_wire_address(struct arena *mem, const char *path);
/* Where a recipient's mail really goes (RFC 5321 s4.5.1). */
const char *intake_destination(const struct client *c, struct arena *mem, const char *rcpt);

/* intake_spool.c */
void intake_spool_met(struct intake *t);       /* there is a new keeper */
void intake_spooled(struct intake *t, int fd); /* it sent a file; -1: it has none */
void intake_spool_close(struct intake *t);
void intake_spool_room(struct client *c); /* sets c->room */

#endif
