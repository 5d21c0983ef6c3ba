/* SPDX-License-Identifier: MIT */
/* An SMTP server on 127.0.0.1 in the loop of the test: it takes everything, apart from what its
 * rules say. Aborts on errors of its own. */
#ifndef TEST_ENGINE_FAKE_H
#define TEST_ENGINE_FAKE_H

#include "loop/loop.h"
#include "tls/tls_server.h"

enum { FAKE_CONNECTIONS = 32, FAKE_RULES = 4 };

/* What to do instead when a connection (from 1, 0: any) hears a verb for the nth time (0: any). */
struct fake_rule {
	int connection, nth;
	const char *verb;  /* "greeting", "EHLO", "MAIL", ..., "." for the end of the text */
	const char *reply; /* with its CRLF; "": silence from here on; NULL: close without a word */
};

struct fake_connection {
	struct fake *fake;
	int fd, number;
	bool open, text, mute;
	struct loop_io *io;
	struct tlss *tls;
	struct buf line;  /* not yet a whole line */
	struct buf heard; /* all lines */
	int messages;     /* whose end was heard */
	size_t chunk;     /* octets of it that are still to come */
	int said[FAKE_RULES];
};

struct fake {
	struct loop *loop;
	struct tls_server *tls; /* NULL: no STARTTLS */
	int breaks;             /* the connection whose handshake breaks off; 0: none */
	const char *alert;      /* what it says first */
	bool chunks;            /* offers CHUNKING, in clear */
	int fd;
	uint16_t port;
	struct loop_io *io;
	struct fake_connection connection[FAKE_CONNECTIONS];
	int n; /* connections so far */
	struct fake_rule rule[FAKE_RULES];
};

void fake_open(struct fake *f, struct loop *l);
void fake_close(struct fake *f);
void fake_hang_up(struct fake_connection *c);
void fake_say(struct fake_connection *c, const char *text);
int fake_count_open(const struct fake *f);
int fake_messages(const struct fake *f); /* over all connections */
bool fake_heard(struct fake_connection *c, const char *what);

#endif
