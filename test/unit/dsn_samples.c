/* SPDX-License-Identifier: MIT */
/*
 * Writes one sample notification to stdout, for check_dsn.py: what it says is compared with the
 * golden files of test/unit/dsn and read by another implementation of MIME.
 */
#include "dsn/dsn.h"

enum { OUT_MAX = 1 << 20 };

static const char *const tlsa[] = {
    "3 1 1 8cb0fc6c527506a053f4f14c8464bebbd6dede2738d11468dd953d7d6a3021f1",
    "2 0 1 13a2bce1f5a3d8c1f0a6e5bff6e2d8a4c3b0d9c7e6f5a4b3c2d1e0f9a8b7c6d5",
};
static const char *const certs[] = {
    "CN=mx.example.net sha256=aa11bb22cc33dd44ee55ff66aa11bb22cc33dd44ee55ff66aa11bb22cc33dd44 "
    "spki=0011223344556677889900112233445566778899001122334455667788990011",
};

static const struct dsn_rcpt mismatch = {
    .action = DSN_FAILED,
    .address = "user@example.net",
    .orcpt = "list+user@example.com",
    .reason = REASON_TLSA_INVALID,
    .code = "4.7.323",
    .expired = true,
    .host = "mx.example.net",
    .address_text = "192.0.2.1",
    .detail = "no TLSA record matches",
    .last_attempt = "Sat, 6 Jan 2024 00:00:00 +0000",
    .tlsa = tlsa,
    .ntlsa = 2,
    .cert = certs,
    .ncert = 1,
};
static const struct dsn_rcpt hostile = {
    .action = DSN_FAILED,
    .address = "x\r\nStatus: 2.0.0\r\n\r\n@example.net",
    .reason = REASON_SMTP_REJECTED,
    .code = "5.1.1",
    .host = "mx.example.net\nX: y",
    .reply = "550 5.1.1 no\r\n\r\n--=_sample\r\nContent-Type: text/html\r\n\r\n\x1b[2J \xc2\x9b",
};
static const struct dsn_rcpt quiet = {.action = DSN_NONE, .address = "fine@example.net"};
static const struct dsn_rcpt late = {
    .action = DSN_DELAYED,
    .address = "user@example.net",
    .reason = REASON_CONNECT_FAILED,
    .code = "4.4.1",
    .host = "mx.example.net",
    .last_attempt = "Mon, 1 Jan 2024 04:00:00 +0000",
};
static const struct dsn_rcpt handed = {
    .action = DSN_RELAYED,
    .address = "user@example.net",
    .reason = REASON_OK,
    .code = "2.0.0",
    .host = "mx.example.net",
    .reply = "250 2.0.0 Ok: queued",
};
static const struct dsn_rcpt wide = {
    .action = DSN_FAILED,
    .address = "j\xc3\xb6rg@b\xc3\xbc"
	       "cher.example",
    .orcpt = "j\xc3\xb6rg@b\xc3\xbc"
	     "cher.example",
    .orcpt_type = "utf-8",
    .reason = REASON_NO_SMTPUTF8,
    .code = "5.6.7",
    .host = "mx.example.net",
};

static const struct {
	const char *name;
	const struct dsn_rcpt *rcpt[3];
	enum dsn_ret ret;
	bool utf8;
	uint64_t full_max;
} samples[] = {
    {"expired", {&mismatch, &quiet}, DSN_RET_HDRS, false, 0},
    {"full", {&mismatch}, DSN_RET_FULL, false, 10000},
    {"too-big", {&mismatch}, DSN_RET_FULL, false, 10},
    {"hostile", {&hostile, &mismatch}, DSN_RET_FULL, false, 10000},
    {"delayed", {&late}, DSN_RET_FULL, false, 10000},
    {"relayed", {&handed}, DSN_RET_NOT_GIVEN, false, 0},
    {"utf8", {&wide}, DSN_RET_FULL, true, 10000},
    {"utf8-in-7-bits", {&wide}, DSN_RET_HDRS, false, 0},
};

static const char original[] =
    "From: a@example.org\r\nSubject: sample\r\nMessage-ID: <o@example.org>\r\n"
    "\r\nHello.\r\n--=_sample\r\nnot a part\r\n--=_sample--\r\nBye.\r\n";

static void write_sample(size_t i, struct buf *out)
{
	struct dsn_rcpt rcpt[3];
	struct dsn_writer w;
	size_t n = 0;

	for (; n < 3 && samples[i].rcpt[n] != NULL; n++)
		rcpt[n] = *samples[i].rcpt[n];
	struct dsn_message m = {
	    .reporting_mta = "relay.example.org",
	    .from = "MAILER-DAEMON@relay.example.org",
	    .to = samples[i].utf8 ? "\xc3\xa5sa@example.org" : "a@example.org",
	    .date = "Sat, 6 Jan 2024 00:00:01 +0000",
	    .message_id = "<dsn.1@relay.example.org>",
	    .boundary = "=_sample",
	    .queue_id = "4T1abc",
	    .envid = "QQ314159",
	    .arrival_date = "Mon, 1 Jan 2024 00:00:00 +0000",
	    .retry_until = "Sat, 6 Jan 2024 00:00:00 +0000",
	    .utf8 = samples[i].utf8,
	    .ret = samples[i].ret,
	    .original_size = sizeof(original) - 1,
	    .full_max = samples[i].full_max,
	    .rcpt = rcpt,
	    .nrcpt = n,
	};
	if (!dsn_begin(&w, &m, out))
		exit(1);
	(void)dsn_add_original(&w, slice_str(original), out);
	dsn_end(&w, out);
}

int main(int argc, char **argv)
{
	struct buf out;

	buf_init(&out, OUT_MAX);
	for (size_t i = 0; argc == 2 && i < sizeof samples / sizeof samples[0]; i++) {
		if (strcmp(samples[i].name, argv[1]) == 0)
			write_sample(i, &out);
	}
	struct slice s = buf_slice(&out);
	bool ok = buf_ok(&out) && s.n > 0 && fwrite(s.p, 1, s.n, stdout) == s.n;
	buf_free(&out);
	return ok ? 0 : 1;
}
