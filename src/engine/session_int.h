/* SPDX-License-Identifier: MIT */
/*
 * Inside of a session: what its start and its course share. Only src/engine/session*.c include
 * this.
 */
#ifndef ENGINE_SESSION_INT_H
#define ENGINE_SESSION_INT_H

#include "engine/engine.h"
#include "engine/session_time.h"
#include "engine/reply_clock.h"

enum {
	SESSION_READ_CHUNK = 32768,
	SESSION_WIRE_MAX = 512 * 1024, /* ciphertext or clear text waiting for the socket */
	SESSION_ERROR_MAX = 256,
};

/* The permission to end the message. */
enum dot { DOT_UNASKED, DOT_ASKED, DOT_ALLOWED };

enum stage {
	STAGE_CONNECTING,
	STAGE_CLEAR,
	STAGE_HANDSHAKE,
	STAGE_TLS,
	STAGE_OVER,
};

/* Whom the timer and the socket serve. */
enum duty {
	DUTY_MESSAGE, /* the owner's message, up to its report */
	DUTY_REPORT,  /* the message ended well and the connection stays: the owner will be told */
	DUTY_IDLE,    /* nobody: in the pool */
};

/* What the session is about, for its time. */
enum part {
	PART_OPENING, /* until the mail may begin */
	PART_MAIL,    /* until the text is out */
	PART_VERDICT, /* what the host says of it */
};

struct session {
	struct engine *engine;
	enum duty duty;
	struct pool_place place;
	struct reply_clock clock;
	bool reused;       /* not the first message of this connection */
	bool awake;        /* idle, with its buffers */
	unsigned carried;  /* messages so far, without the present one */
	uint64_t since_ms; /* of the connection */
	enum part part;    /* that time is for */
	struct session_time time;
	struct session_time mail; /* while time is for the verdict */
	uint64_t opening_ms;      /* that was spent */
	uint64_t idle_ms;         /* when it began to wait for another message */
	struct session_request request;
	session_cb *cb;
	void *arg;
	enum stage stage;
	bool connected;
	bool eof;
	enum dot dot;
	bool together;     /* the text waits for the permission to end it */
	uint64_t progress; /* of the machine when the timer was set */
	uint32_t more_ms;  /* to wait when the timer has fired */
	int fd;
	void *reaching; /* of engine_reach: not NULL while it is asked */
	struct loop_io *io;
	struct loop_timer *timer;
	bool full_handshake; /* the first connection broke on a session that we had kept */
	bool again; /* a host that took no more over the first connection has had its second one */
	struct smtpc *smtp;
	struct tls_conn *tls;
	struct buf wire;               /* to the socket */
	struct buf plain;              /* decrypted, for the machine */
	char error[SESSION_ERROR_MAX]; /* of the connection, or local */
	bool local_error;
};

/* session.c: how it goes on. */
void session_on_io(void *arg, unsigned ready);
void session_on_timer(void *arg);
void session_pump(struct session *s); /* does what the machine wishes until it has to wait */
/* The callback must not run inside the caller's call: the end is told from the loop. */
void session_finish(struct session *s);
/* A message begins, over a connection that is ready for it. */
void session_begin_mail(struct session *s);
void session_release(struct session *s);
void session_leave(struct pool_place *p); /* out of the pool for good */
/* Ours, not the network's. what: NULL, the error is said already. */
void session_fail_local(struct session *s, const char *what);
/* session_start.c */
void session_connect(struct session *s); /* a new connection, for the request */

#endif
