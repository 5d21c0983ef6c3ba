/* SPDX-License-Identifier: MIT */
/*
 * Scenes: one readable file each, with fake DNS, fake MX hosts and the expected fate of the mail.
 * They run the pure machines (plan, attempt, client) without a socket or a clock. README.md has the
 * language.
 *
 * This header: a scene as read (parse.c), as played (play.c, server.c) and as judged (expect.c).
 */
#ifndef TEST_SCENE_H
#define TEST_SCENE_H

#include "base/buf.h"
#include "deliver/attempt.h"

enum {
	SCENE_RCPTS_MAX = 1000,
	SCENE_DNS_MAX = 200,
	SCENE_HOSTS_MAX = 80,
	SCENE_STEPS_MAX = 64,
	SCENE_EXPECTS_MAX = 40,
	SCENE_OWN_MAX = 4,
	SCENE_ASKED_MAX = 600,
	SCENE_SEEN_MAX = 1200,
	SCENE_MEM_MAX = 32 * 1024 * 1024,
};

/* --- As read --- */

enum step_kind {
	STEP_SAY,    /* > the server says this line */
	STEP_HEAR,   /* < the client must have said a line like this */
	STEP_TEXT,   /* the whole message text and the final dot must come */
	STEP_PART,   /* this many octets of the text, and nothing else yet */
	STEP_RAW,    /* octets as they are, for what is no line: \r \n \0 \xHH */
	STEP_REPEAT, /* COUNT LINE: the server says LINE so often */
	STEP_TLS,    /* the client must want a handshake; how it ends */
	STEP_AUTO,   /* an ordinary server takes over until the client says a verb */
	STEP_CLOSE,
	STEP_TIMEOUT,
	STEP_REFUSE, /* no connection */
	STEP_LOCAL,  /* something fails on this side */
};

enum tls_end { TLS_END_AUTHENTICATED, TLS_END_ENCRYPTED, TLS_END_FAILED };

struct scene_step {
	enum step_kind kind;
	int line; /* in the file */
	const char *text;
	size_t count;
	enum tls_end tls;
	enum reason reason; /* TLS_END_FAILED */
	const char *until;  /* STEP_AUTO: a verb; NULL: to the end */
	const char *caps;   /* STEP_AUTO: blank-separated EHLO keywords; NULL: all we know */
	bool tls_set;       /* STEP_AUTO: `tls` was given */
};

struct scene_host {
	const char *address;
	int line;
	struct scene_step *step;
	size_t nstep;
	bool used;
};

struct scene_dns {
	const char *name;
	uint16_t type;
	struct answer *answer;
	int line;
	bool asked;
};

struct scene_expect {
	int line;
	const char *text;
};

struct scene {
	const char *path;
	struct arena mem;
	struct attempt_config config;
	struct smtpc_message message;
	struct smtpc_rcpt *rcpt; /* SCENE_RCPTS_MAX */
	struct ipaddr own[SCENE_OWN_MAX];
	struct scene_dns *dns;
	size_t ndns;
	struct scene_host *host;
	size_t nhost;
	struct scene_expect *expect;
	size_t nexpect;
	struct slice text; /* of the message */
	char error[400];
};

bool scene_read(const char *path, struct scene *s); /* false: see error */
void scene_free(struct scene *s);

/* --- As played --- */

/* Answers in order or last first; the server's bytes in one piece or one by one. */
struct scene_mode {
	const char *name;
	bool lifo;
	bool bytewise;
};

struct seen_session {
	const char *address;
	bool connected;
	bool clear_envelope; /* MAIL, RCPT or DATA went out without TLS */
	struct smtpc_config config;
	struct tls_terms terms;
};

struct show {
	struct scene *scene;
	const struct scene_mode *mode;
	struct attempt *attempt;
	struct plan_question asked[SCENE_ASKED_MAX];
	size_t nasked;
	struct seen_session seen[SCENE_SEEN_MAX];
	size_t nseen;
	unsigned *taken; /* per recipient: how often a host took the message for it */
	char error[600];
};

/* Plays to the end; false: see error. The attempt stays for the judges. */
bool scene_play(struct scene *s, const struct scene_mode *mode, struct show *w);
void show_free(struct show *w);

/* One connection; fills the outcome. */
bool server_play(struct show *w, struct scene_host *h, const struct attempt_session *as,
		 struct session_outcome *out, struct tls_facts *facts);

/* --- As judged --- */

bool scene_judge(const struct show *w, char *error, size_t room);

/* Does text match a pattern in which * stands for anything? */
bool glob_matches(const char *pattern, const char *text);
const char *scene_own_string(struct scene *s, struct slice text);

#endif
