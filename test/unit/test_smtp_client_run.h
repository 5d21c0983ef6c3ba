/* SPDX-License-Identifier: MIT */
/* One session of the SMTP client machine that a list of server lines drives. */
#ifndef TEST_SMTP_CLIENT_RUN_H
#define TEST_SMTP_CLIENT_RUN_H

#include "unit.h"

#include "smtp/client.h"

struct run {
	struct smtpc *c;
	struct smtpc_rcpt rcpt[3];
	struct smtpc_message message;
	struct smtpc_config config;
	struct slice text;
	size_t chunk;   /* of the text */
	struct buf log; /* everything the client wrote */
};

/* "Subject: x", and all that dot-stuffing is about. */
extern const char usual_text[33];
/* A whole session with two transactions, under TLS: what the server says, one element for each time
 * that it waits for the client in between. */
enum { CONVERSATION = 12 };
extern const char *const conversation[CONVERSATION];

/* Three recipients, nothing special: change it before run_start(). */
void run_init(struct run *r, enum smtpc_tls tls);
void run_start(struct run *r);
void run_free(struct run *r);
void flush(struct run *r);
/* Does what the machine wishes until it waits for the server. */
void serve(struct run *r);
void say(struct run *r, const char *bytes);
bool logged(struct run *r, const char *what);

/* One recipient, in clear; then up to the 354. */
void to_text(struct run *r);
void start_text(struct run *r);

#endif
