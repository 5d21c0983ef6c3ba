/* SPDX-License-Identifier: MIT */
/* See test_smtp_client_run.h. */
#include "test_smtp_client_run.h"

#include <string.h>

enum { LOG_MAX = 4 * 1024 * 1024 };

const char usual_text[33] = "Subject: x\r\n\r\n.\r\n..a\r\nb.\r\n\r\n.c\r\n";

void run_init(struct run *r, enum smtpc_tls tls)
{
	memset(r, 0, sizeof(*r));
	r->text = slice_str(usual_text);
	r->chunk = 5;
	r->rcpt[0].address = "alice@example.org";
	r->rcpt[1].address = "bob@example.org";
	r->rcpt[2].address = "carol@example.org";
	r->message = (struct smtpc_message){.reverse_path = "sender@client.example",
					    .size = r->text.n,
					    .rcpt = r->rcpt,
					    .nrcpt = 3};
	r->config = (struct smtpc_config){.helo = "client.example",
					  .tls = tls,
					  .timeouts = &SMTPC_TIMEOUTS_RFC,
					  .message = &r->message};
	buf_init(&r->log, LOG_MAX);
}

void run_start(struct run *r)
{
	r->c = smtpc_new(&r->config);
	assert_non_null(r->c);
}

void run_free(struct run *r)
{
	smtpc_free(&r->c);
	buf_free(&r->log);
}

void flush(struct run *r)
{
	struct buf *out = smtpc_output(r->c);
	buf_add_slice(&r->log, buf_slice(out));
	buf_consume(out, buf_len(out));
}

/* Does what the machine wishes until it waits for the server. */
void serve(struct run *r)
{
	flush(r);
	for (;;) {
		enum smtpc_want want = smtpc_want(r->c);
		if (want == SMTPC_WANT_STARTTLS) {
			buf_add_str(&r->log, "[TLS]");
			smtpc_tls_done(r->c, true);
		} else if (want == SMTPC_WANT_BODY) {
			struct slice rest = slice_from(r->text, smtpc_body_offset(r->c));
			smtpc_body(r->c, slice_first(rest, r->chunk));
		} else {
			flush(r);
			return;
		}
		flush(r);
	}
}

void say(struct run *r, const char *bytes)
{
	smtpc_recv(r->c, slice_str(bytes));
	serve(r);
}

bool logged(struct run *r, const char *what)
{
	return strstr(buf_cstr(&r->log), what) != NULL;
}

void to_text(struct run *r)
{
	run_init(r, SMTPC_TLS_NONE);
	r->message.nrcpt = 1;
}

void start_text(struct run *r)
{
	run_start(r);
	say(r, "220 mx\r\n");
	say(r, "250 mx\r\n");
	say(r, "250 ok\r\n");
	say(r, "250 ok\r\n");
	smtpc_recv(r->c, SLICE_LIT("354 go\r\n"));
	assert_int_equal(smtpc_want(r->c), SMTPC_WANT_BODY);
}

/* What the server says, one element for each time that it waits for the client in between. */
const char *const conversation[CONVERSATION] = {
    "220-mx1\r\n220 ESMTP ready\r\n",
    "250-mx1\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250 STARTTLS\r\n",
    "220 2.0.0 go\r\n",
    "250-mx1\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 1000000\r\n250 HELP\r\n",
    "250 2.1.0 ok\r\n250 2.1.5 ok\r\n550-5.1.1 who\r\n550 5.1.1 is bob\r\n452 4.5.3 many\r\n",
    "354 go\r\n",
    "250 2.6.0 as 1\r\n",
    "250 2.0.0 reset\r\n",
    "250 2.1.0 ok\r\n250 2.1.5 ok\r\n",
    "354 go\r\n",
    "250 2.6.0 as 2\r\n",
    "221 2.0.0 bye\r\n",
};
