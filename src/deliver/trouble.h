/* SPDX-License-Identifier: MIT */
/*
 * deliver: what a session's end means: the one place where trouble becomes a reason (rules T7, T10,
 * M2).
 */
#ifndef DELIVER_TROUBLE_H
#define DELIVER_TROUBLE_H

#include "dane/hosts.h"
#include "smtp/client.h"

enum { OUTCOME_DETAIL_MAX = 512 };

struct session_facts {
	bool connected;
	bool reused;                 /* over the connection of an earlier message (T9) */
	const char *connect_error;   /* not connected: the system's words */
	const struct smtpc *smtp;    /* connected: ended; NULL if it could not be made */
	const struct tls_facts *tls; /* NULL: TLS was not tried */
	int32_t reply_ms;            /* see session_outcome */
	uint32_t opening_ms;         /* the same */
	const char
	    *local_error; /* something failed on this side; overrides the rest. NULL: nothing */
};

/* How one session with one address ended. */
struct session_outcome {
	enum reason reason;
	bool tls_failed; /* in or before the handshake: at level may the clear text remains (T11) */
	bool under_tls;
	bool offered_starttls;
	bool reused;                     /* as given */
	struct enhanced_code enhanced;   /* of the reply that decided; class 0: none */
	char detail[OUTCOME_DETAIL_MAX]; /* one line: phase, reply, TLS words; "" if nothing to add
					  */
	char reply[SMTPC_REPLY_MAX];     /* the SMTP reply that decided; "" if none */
	const struct tls_facts *tls;     /* as given */
	enum smtpc_reached reached;
	bool tentative; /* went on without TLS because of a fault: it can refuse nothing for good */
	bool unwilling; /* greeting or EHLO refused, or 421: others or later it may be willing */
	/* Milliseconds that the host took for a reply to what it was told, on average; -1: it gave
	 * none. As given. */
	int32_t reply_ms;
	/* Milliseconds from the first packet until the host was ready for the mail, or until the
	 * end. As given. */
	uint32_t opening_ms;
};
void trouble_judge(const struct session_facts *f, struct session_outcome *out);

/* The enhanced status code to report: the server's own where it gave one of the right class, else
 * the table's. */
enum { CODE_TEXT_MAX = 16 };
void trouble_code(enum reason r, struct enhanced_code e, bool permanent,
		  char out[static CODE_TEXT_MAX]);

/* What a probe of an address found, for `check`. */
enum address_result trouble_probe_result(const struct session_outcome *o);

#endif
