/* SPDX-License-Identifier: MIT */
/*
 * Every known way to make one server see an end, or a command, where another sees none: ends of
 * data (P2), chunks, and commands injected before a handshake (T8). Each row bears the name that
 * the literature or the test tools give it. What must happen: refused, the session over, and never
 * two messages. Every row is played whole, octet by octet and cut at every place.
 *
 * Sources of the names: SEC Consult, "SMTP Smuggling" (2023), and its scanner; smtpsmug; the
 * advisories of Postfix (CVE-2023-51764), Sendmail (CVE-2023-51765), Exim (CVE-2023-51766) and
 * Exchange Online; "Why TLS is better without STARTTLS" (2021) and its command-injection-tester;
 * CVE-2011-0411 and its kin.
 */
#include "test_smtp_server_play.h"

#include "unit.h"

#define EHLO S("EHLO c.example\r\n")
#define MAIL "MAIL FROM:<a@b.example>\r\n"
#define RCPT "RCPT TO:<c@d.example>\r\n"
#define EVIL "MAIL FROM:<evil@b.example>\r\nRCPT TO:<victim@d.example>\r\n"
#define ONE "a@b.example>c@d.example:"
#define UP "220, 250, 250 2.1.0, 250 2.1.5"

/* ---- ends of data that are none ---- */

static const struct {
	const char *name;
	struct slice sequence;
} end_row[] = {
    /* smtp_smuggling_scanner, by its own notation */
    {"\\n.\\n (smtpsmug lflf)", S("\n.\n")},
    {"\\n.\\r (smtpsmug lfcr)", S("\n.\r")},
    {"\\r.\\n (smtpsmug crlf)", S("\r.\n")},
    {"\\r.\\r (smtpsmug crcr; Cisco Secure Email CR and LF handling \"clean\")", S("\r.\r")},
    {"\\n.\\r\\n (smtpsmug lfcrlf; Exchange Online, Postfix, Sendmail)", S("\n.\r\n")},
    {"\\r.\\r\\n (smtpsmug crcrlf)", S("\r.\r\n")},
    {"\\r\\n.\\r\\r\\n (scanner, outbound)", S("\r\n.\r\r\n")},
    {"\\r\\r\\n.\\r\\r\\n (scanner, outbound)", S("\r\r\n.\r\r\n")},
    {"\\r\\n\\x00.\\r\\n (scanner; smtpsmug nullbefore)", S("\r\n\0.\r\n")},
    {"\\r\\n.\\n (smtpsmug crlflf; Exim)", S("\r\n.\n")},
    {"\\r\\n.\\r (smtpsmug crlfcr)", S("\r\n.\rMAIL")},
    {"\\r\\n.\\x00\\r\\n (smtpsmug nullafter)", S("\r\n.\0\r\n")},
    /* smtp_smuggling_checker */
    {"\\r\\n\\x00.\\r", S("\r\n\0.\r")},
    {"\\r\\n\\x00.\\n", S("\r\n\0.\n")},
    {"\\n\\n.\\r\\n", S("\n\n.\r\n")},
    /* the rest of the neighbourhood */
    {"LF LF . LF LF", S("\n\n.\n\n")},
    {"CR CR . CR CR", S("\r\r.\r\r")},
    {"LF CR . LF CR", S("\n\r.\n\r")},
    {"LF CR . CR LF", S("\n\r.\r\n")},
    {"CRLF . LF CR", S("\r\n.\n\r")},
    {"CRLF CR . CRLF", S("\r\n\r.\r\n")},
    {"CRLF . CR CRLF CRLF", S("\r\n.\r\r\n\r\n")},
    {"CRLF LF . CRLF", S("\r\n\n.\r\n")},
    {"CR LF LF . CR LF", S("\r\n\n.\r\n")},
    {"CR CRLF . CRLF", S("\r\r\n.\r\n")},
    {"CR NUL LF . CRLF", S("\r\0\n.\r\n")},
    {"CRLF . CR NUL LF", S("\r\n.\r\0\n")},
    {"CRLF . NUL LF", S("\r\n.\0\n")},
    {"CRLF NUL . NUL CRLF", S("\r\n\0.\0\r\n")},
    {"NUL CRLF . CRLF", S("\0\r\n.\r\n")},
    {"LF NUL . CRLF", S("\n\0.\r\n")},
    {"CRLF NUL CRLF", S("\r\n\0\r\n")},
    {"dot-stuffed: LF .. CRLF", S("\n..\r\n")},
    {"dot-stuffed: CRLF .. LF", S("\r\n..\n")},
    {"dot-stuffed: CRLF .. CR", S("\r\n..\rM")},
    {"dot-stuffed: CR .. CRLF", S("\r..\r\n")},
    {"a space before the LF: CRLF . SP LF", S("\r\n. \n")},
    {"a lone LF in a line", S("a\nb\r\n")},
    {"a lone CR in a line", S("a\rb\r\n")},
    {"a lone NUL in a line", S("a\0b\r\n")},
};

enum { TEXT_ROOM = 1024 };

static struct slice glue(uint8_t *room, const struct slice *part, size_t n)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		assert_true(used + part[i].n <= TEXT_ROOM);
		memcpy(room + used, part[i].p, part[i].n);
		used += part[i].n;
	}
	return slice_make(room, used);
}

/* Where the sequence stands in the text. */
static const struct slice before_row[] = {
    S("Subject: x\r\n\r\nbody"), /* behind the last line */
    S("Subject: x\r\n\r\n"),     /* on a line of its own */
    S("Subject: x"),             /* in the header */
    S(""),                       /* at once */
};

/* With DATA, and what a smuggler has behind it. */
static void play_data(const char *name, struct slice before, struct slice sequence)
{
	static const struct slice behind =
	    S(EVIL "DATA\r\nSubject: evil\r\n\r\nevil\r\n.\r\nQUIT\r\n");
	uint8_t room[TEXT_ROOM];
	struct play_row r = {.name = name,
			     .kind = PLAY_MX,
			     .flight = {EHLO, S(MAIL RCPT "DATA\r\n")},
			     .replies = UP ", 354, 554 5.6.11",
			     .end = SMTPS_SMUGGLING};

	r.flight[2] = glue(room, (struct slice[]){before, sequence, behind}, 3);
	play_row(&r);
}

static void test_end_of_data(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(end_row); i++) {
		for (size_t k = 0; k < ROWS(before_row); k++)
			play_data(end_row[i].name, before_row[k], end_row[i].sequence);
	}
}

/* The same in one chunk, and cut into two chunks at every place. */
static void play_bdat(const char *name, struct slice text, size_t first)
{
	char head[2][32];
	uint8_t room[TEXT_ROOM];
	struct play_row r = {.name = name, .kind = PLAY_MX, .flight = {EHLO, S(MAIL RCPT)}};

	(void)snprintf(head[0], sizeof(head[0]), "BDAT %zu\r\n", first);
	(void)snprintf(head[1], sizeof(head[1]), "BDAT %zu LAST\r\n", text.n - first);
	struct slice part[] = {slice_str(head[0]), slice_first(text, first), slice_str(head[1]),
			       slice_from(text, first), S("RSET\r\n" EVIL)};
	r.flight[2] = first > 0 ? glue(room, part, 5) : glue(room, part + 2, 3);
	struct buf out;
	play_output(&r, &out);
	/* evidence in the second chunk: the first was confirmed */
	bool confirmed = memmem(buf_slice(&out).p, buf_len(&out), "octets received", 15) != NULL;
	buf_free(&out);
	r.replies = confirmed ? UP ", 250 2.0.0, 554 5.6.11" : UP ", 554 5.6.11";
	r.end = SMTPS_SMUGGLING;
	play_row(&r);
}

static void test_end_of_data_in_chunks(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(end_row); i++) {
		uint8_t room[TEXT_ROOM];
		struct slice text =
		    glue(room, (struct slice[]){S("ab"), end_row[i].sequence, S("cd\r\n")}, 3);
		for (size_t first = 0; first < text.n; first++)
			play_bdat(end_row[i].name, text, first);
	}
}

/* ---- what is allowed, and stays one message ---- */

static const struct play_row good_row[] = {
    {"CRLF . CRLF",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "DATA\r\n"), S("x\r\n.\r\n")},
     UP ", 354, 250 2.0.0",
     ONE "x\r\n"},
    {"dot-stuffed: CRLF .. CRLF",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "DATA\r\n"), S("x\r\n..\r\n" EVIL "DATA\r\n.\r\n")},
     UP ", 354, 250 2.0.0",
     ONE "x\r\n.\r\n" EVIL "DATA\r\n"},
    {"CRLF . SP CRLF",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "DATA\r\n"), S("x\r\n. \r\n" EVIL ".\r\n")},
     UP ", 354, 250 2.0.0",
     ONE "x\r\n \r\n" EVIL},
    {"CRLF SP . CRLF",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "DATA\r\n"), S("x\r\n .\r\n" EVIL ".\r\n")},
     UP ", 354, 250 2.0.0",
     ONE "x\r\n .\r\n" EVIL},
    {"CRLF ... CRLF",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "DATA\r\n"), S("x\r\n...\r\n.\r\n")},
     UP ", 354, 250 2.0.0",
     ONE "x\r\n..\r\n"},
    {"other controls: VT, FF, 0x85, U+2028",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "DATA\r\n"),
      S("\x0b.\x0b\x0c.\x0c\x85.\x85\xe2\x80\xa8.\xe2\x80\xa8\r\n.\r\n")},
     UP ", 354, 250 2.0.0",
     ONE "\x0b.\x0b\x0c.\x0c\x85.\x85\xe2\x80\xa8.\xe2\x80\xa8\r\n"},
    {"CRLF . CRLF is text in a chunk",
     PLAY_MX,
     {EHLO,
      S(MAIL RCPT "BDAT 91 LAST\r\nx\r\n.\r\n" EVIL "DATA\r\nabcdefghijkl\r\n.\r\nQUIT\r\n" RCPT)},
     UP ", 250 2.0.0, 503 5.5.1",
     ONE "x\r\n.\r\n" EVIL "DATA\r\nabcdefghijkl\r\n.\r\nQUIT\r\n"},
    {"CR and LF in two chunks",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "BDAT 2\r\na\rBDAT 2 LAST\r\n\nb")},
     UP ", 250 2.0.0, 250 2.0.0",
     ONE "a\r\nb\r\n"},
    {"CRLF, dot and CRLF in three chunks",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "BDAT 3\r\na\r\nBDAT 1\r\n.BDAT 3 LAST\r\n\r\nb")},
     UP ", 250 2.0.0, 250 2.0.0, 250 2.0.0",
     ONE "a\r\n.\r\nb\r\n"},
};

/* ---- BDAT ---- */

static const struct play_row bdat_row[] = {
    {"one chunk",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "BDAT 3 LAST\r\na\r\nQUIT\r\n")},
     UP ", 250 2.0.0, 221 2.0.0",
     ONE "a\r\n",
     SMTPS_QUIT},
    {"in small letters",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "bdat 3 last\r\na\r\n")},
     UP ", 250 2.0.0",
     ONE "a\r\n"},
    {"no chunk at all",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "BDAT 0 LAST\r\nRSET\r\n")},
     UP ", 250 2.0.0, 250 2.0.0",
     ONE},
    {"0 LAST ends what was sent",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "BDAT 3\r\na\r\nBDAT 0\r\nBDAT 0 LAST\r\n")},
     UP ", 250 2.0.0, 250 2.0.0, 250 2.0.0",
     ONE "a\r\n"},
    {"LAST twice: the second chunk is no command",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "BDAT 3 LAST\r\na\r\nBDAT 6 LAST\r\nQUIT\r\nRSET\r\n")},
     UP ", 250 2.0.0, 503 5.5.1, 250 2.0.0",
     ONE "a\r\n"},
    {"a chunk without MAIL is no command",
     PLAY_MX,
     {EHLO, S("BDAT 6\r\nQUIT\r\nRSET\r\n")},
     "220, 250, 503 5.5.1, 250 2.0.0"},
    {"a chunk without EHLO is no command",
     PLAY_MX,
     {S("BDAT 6 LAST\r\nQUIT\r\nRSET\r\n")},
     "220, 503 5.5.1, 250 2.0.0"},
    {"a chunk without RCPT is no command",
     PLAY_MX,
     {EHLO, S(MAIL "BDAT 6\r\nQUIT\r\nRSET\r\n")},
     "220, 250, 250 2.1.0, 503 5.5.1, 250 2.0.0"},
    {"a chunk after refused recipients is no command",
     PLAY_MX,
     {EHLO, S(MAIL "RCPT TO:<no@d.example>\r\nBDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\n" MAIL)},
     "220, 250, 250 2.1.0, 550 5.7.1, 554 5.5.1, 503 5.5.1, 250 2.1.0"},
    {"no room: chunks up to the last are no commands",
     PLAY_MX,
     {S("EHLO full\r\n"),
      S(MAIL RCPT "BDAT 6\r\nQUIT\r\nBDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\n" MAIL)},
     UP ", 452 4.3.1, 503 5.5.1, 503 5.5.1, 250 2.1.0"},
    {"a refused chunk, then DATA",
     PLAY_MX,
     {S("EHLO full\r\n"), S(MAIL RCPT "BDAT 6\r\nQUIT\r\nDATA\r\n"), S("RSET\r\nDATA\r\n")},
     UP ", 452 4.3.1, 503 5.5.1, 250 2.0.0, 503 5.5.1"},
    {"DATA after BDAT",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "BDAT 3\r\na\r\nDATA\r\n"), S("BDAT 0 LAST\r\n")},
     UP ", 250 2.0.0, 503 5.5.1, 250 2.0.0",
     ONE "a\r\n"},
    {"RCPT after BDAT",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "BDAT 3\r\na\r\n" RCPT MAIL "BDAT 0 LAST\r\n")},
     UP ", 250 2.0.0, 503 5.5.1, 503 5.5.1, 250 2.0.0",
     ONE "a\r\n"},
    {"BDAT within DATA is text",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "DATA\r\n"), S("BDAT 0 LAST\r\n.\r\n")},
     UP ", 354, 250 2.0.0",
     ONE "BDAT 0 LAST\r\n"},
    {"BDAT in one group with DATA",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "DATA\r\nBDAT 3 LAST\r\na\r\n")},
     UP ", 554 5.5.0",
     NULL,
     SMTPS_EARLY},
    {"RSET between chunks",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "BDAT 3\r\na\r\nRSET\r\nBDAT 6 LAST\r\nQUIT\r\n" MAIL RCPT
			"BDAT 3 LAST\r\nb\r\n")},
     UP ", 250 2.0.0, 250 2.0.0, 503 5.5.1, 250 2.1.0, 250 2.1.5, 250 2.0.0",
     ONE "b\r\n"},
    {"a CR that waits is forgotten with RSET",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "BDAT 2\r\na\rRSET\r\n" MAIL RCPT "BDAT 3 LAST\r\nb\r\n")},
     UP ", 250 2.0.0, 250 2.0.0, 250 2.1.0, 250 2.1.5, 250 2.0.0",
     ONE "b\r\n"},
    {"no size",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "BDAT\r\nQUIT\r\n")},
     UP ", 501 5.5.4",
     NULL,
     SMTPS_ERRORS},
    {"negative",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "BDAT -1\r\nQUIT\r\n")},
     UP ", 501 5.5.4",
     NULL,
     SMTPS_ERRORS},
    {"plus",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "BDAT +1\r\nQUIT\r\n")},
     UP ", 501 5.5.4",
     NULL,
     SMTPS_ERRORS},
    {"hexadecimal",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "BDAT 0x10\r\nQUIT\r\n")},
     UP ", 501 5.5.4",
     NULL,
     SMTPS_ERRORS},
    {"2^64",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "BDAT 18446744073709551616\r\nQUIT\r\n")},
     UP ", 501 5.5.4",
     NULL,
     SMTPS_ERRORS},
    {"2^64 + 6",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "BDAT 18446744073709551622\r\nQUIT\r\n")},
     UP ", 501 5.5.4",
     NULL,
     SMTPS_ERRORS},
    {"2^32 + 6", PLAY_SMALL, {EHLO, S(MAIL RCPT "BDAT 4294967302\r\nQUIT\r\n" MAIL)}, UP},
    {"2^63",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "BDAT 9223372036854775808\r\nQUIT\r\n")},
     UP ", 501 5.5.4",
     NULL,
     SMTPS_ERRORS},
    {"another marker",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "BDAT 6 FIRST\r\nQUIT\r\n")},
     UP ", 501 5.5.4",
     NULL,
     SMTPS_ERRORS},
    {"LASTLAST",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "BDAT 6 LAST LAST\r\nQUIT\r\n")},
     UP ", 501 5.5.4",
     NULL,
     SMTPS_ERRORS},
    {"unreadable without MAIL",
     PLAY_MX,
     {EHLO, S("BDAT x\r\nQUIT\r\n")},
     "220, 250, 501 5.5.4",
     NULL,
     SMTPS_ERRORS},
    {"over SIZE",
     PLAY_SMALL,
     {EHLO, S(MAIL RCPT "BDAT 21 LAST\r\n0123456789\r\nQUIT\r\n\r\nX" MAIL)},
     UP ", 552 5.3.4, 250 2.1.0"},
    {"over SIZE with the second",
     PLAY_SMALL,
     {EHLO, S(MAIL RCPT
	      "BDAT 3\r\na\r\nBDAT 18\r\nQUIT\r\nQUIT\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\n" MAIL)},
     UP ", 250 2.0.0, 552 5.3.4, 503 5.5.1, 250 2.1.0"},
    {"at SIZE",
     PLAY_SMALL,
     {EHLO, S(MAIL RCPT "BDAT 10\r\n01234567\r\nBDAT 10 LAST\r\n01234567\r\n")},
     UP ", 250 2.0.0, 250 2.0.0",
     ONE "01234567\r\n01234567\r\n"},
    {"close inside a chunk",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "BDAT 6 LAST\r\na\r\n"), S("@close")},
     UP,
     NULL,
     SMTPS_CLOSED},
    {"close before LAST",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "BDAT 3\r\na\r\n"), S("@close")},
     UP ", 250 2.0.0",
     NULL,
     SMTPS_CLOSED},
    {"timeout inside a chunk",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "BDAT 6 LAST\r\na\r\n"), S("@timeout")},
     UP ", 421 4.4.2",
     NULL,
     SMTPS_TIMEOUT},
    {"CR at the very end",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "BDAT 2 LAST\r\na\r\nQUIT\r\n")},
     UP ", 554 5.6.11",
     NULL,
     SMTPS_SMUGGLING},
    {"CR at the end, then 0 LAST",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "BDAT 2\r\na\rBDAT 0 LAST\r\nQUIT\r\n")},
     UP ", 250 2.0.0, 554 5.6.11",
     NULL,
     SMTPS_SMUGGLING},
    {"refused at the end",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "BDAT 6 LAST\r\nspam\r\n" MAIL)},
     UP ", 554 5.7.1, 250 2.1.0"},
};

/* ---- command-injection-tester, CVE-2011-0411: commands in clear that are read under TLS ---- */

#define STARTTLS "STARTTLS\r\n"
#define INJECTED "220, 250, 554 5.5.0", NULL, SMTPS_EARLY
/* in the next segment: the 220 is out already, nothing more is said in clear */
#define INJECTED_LATER "220, 250, 220 2.0.0", NULL, SMTPS_EARLY

static const struct play_row injection_row[] = {
    {"NOOP in the same segment", PLAY_MX, {EHLO, S(STARTTLS "NOOP\r\n"), S("@tls")}, INJECTED},
    {"EHLO in the same segment", PLAY_MX, {EHLO, S(STARTTLS "EHLO evil\r\n"), S("@tls")}, INJECTED},
    {"RSET in the same segment", PLAY_MX, {EHLO, S(STARTTLS "RSET\r\n"), S("@tls")}, INJECTED},
    {"MAIL in the same segment", PLAY_MX, {EHLO, S(STARTTLS MAIL), S("@tls")}, INJECTED},
    {"a transaction in the same segment",
     PLAY_MX,
     {EHLO, S(STARTTLS "EHLO evil\r\n" EVIL "DATA\r\nevil\r\n.\r\n"), S("@tls")},
     INJECTED},
    {"AUTH in the same segment",
     PLAY_SUBMISSION,
     {EHLO, S(STARTTLS "EHLO evil\r\nAUTH PLAIN AHVzZXIAc2VjcmV0\r\n"), S("@tls")},
     INJECTED},
    {"open AUTH and MAIL: credentials into a mail",
     PLAY_SUBMISSION,
     {EHLO, S(STARTTLS "EHLO evil\r\nAUTH PLAIN AHVzZXIAc2VjcmV0\r\n" EVIL "DATA\r\n"), S("@tls")},
     INJECTED},
    {"half a command in the same segment",
     PLAY_MX,
     {EHLO, S(STARTTLS "MAIL FROM:<evil"), S("@tls")},
     INJECTED},
    {"one octet in the same segment", PLAY_MX, {EHLO, S(STARTTLS "\r"), S("@tls")}, INJECTED},
    {"a second STARTTLS", PLAY_MX, {EHLO, S(STARTTLS STARTTLS), S("@tls")}, INJECTED},
    {"NOOP in the next segment",
     PLAY_MX,
     {EHLO, S(STARTTLS), S("NOOP\r\n"), S("@tls")},
     INJECTED_LATER},
    {"EHLO in the next segment",
     PLAY_MX,
     {EHLO, S(STARTTLS), S("EHLO evil\r\n"), S("@tls")},
     INJECTED_LATER},
    {"a transaction in the next segment",
     PLAY_MX,
     {EHLO, S(STARTTLS), S("EHLO evil\r\n" EVIL "DATA\r\n"), S("evil\r\n.\r\n"), S("@tls")},
     INJECTED_LATER},
    {"all of it at once",
     PLAY_MX,
     {S("EHLO c.example\r\n" STARTTLS "NOOP\r\n")},
     "220, 554 5.5.0",
     NULL,
     SMTPS_EARLY},
    {"STARTTLS with a bare LF",
     PLAY_MX,
     {EHLO, S("STARTTLS\nNOOP\r\n"), S("@tls")},
     "220, 250, 554 5.6.11",
     NULL,
     SMTPS_SMUGGLING},
    {"a refused STARTTLS and a command", PLAY_MX_PLAIN, {EHLO, S(STARTTLS MAIL)}, INJECTED},
    {"EHLO from before is worth nothing",
     PLAY_MX,
     {EHLO, S(STARTTLS), S("@tls"), S(MAIL)},
     "220, 250, 220 2.0.0, 503 5.5.1"},
};

/* ---- line ends in commands, and groups that wait for nobody ---- */

#define EVIDENCE "220, 250, 554 5.6.11", NULL, SMTPS_SMUGGLING

static const struct play_row command_row[] = {
    {"a bare LF ends no command", PLAY_MX, {EHLO, S("MAIL FROM:<a@b.example>\n" RCPT)}, EVIDENCE},
    {"a bare CR ends no command", PLAY_MX, {EHLO, S("MAIL FROM:<a@b.example>\r" RCPT)}, EVIDENCE},
    {"CR CRLF", PLAY_MX, {EHLO, S("RSET\r\r\nQUIT\r\n")}, EVIDENCE},
    {"LF CR", PLAY_MX, {EHLO, S("RSET\n\rQUIT\r\n")}, EVIDENCE},
    {"NUL behind the verb", PLAY_MX, {EHLO, S("RSET\0\r\nQUIT\r\n")}, EVIDENCE},
    {"NUL in a path", PLAY_MX, {EHLO, S("MAIL FROM:<a\0@b.example>\r\n" RCPT)}, EVIDENCE},
    {"a bare LF in a quoted local part",
     PLAY_MX,
     {EHLO, S("MAIL FROM:<\"a\nRCPT TO:<x@y>\n\"@b.example>\r\n")},
     EVIDENCE},
    {"a bare LF behind good commands: they stand, nothing follows",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "RSET\n" EVIL)},
     UP ", 554 5.6.11",
     NULL,
     SMTPS_SMUGGLING},
    {"a TLS hello in clear",
     PLAY_MX,
     {S("\x16\x03\x01\x00\xa5\x01\x00")},
     "220, 554 5.6.11",
     NULL,
     SMTPS_SMUGGLING},
    {"smtpsmug pipelining: a group behind the end of data may be (RFC 2920 s3.1), text may not",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "DATA\r\n"), S("x\r\n.\r\n" EVIL "DATA\r\nevil\r\n.\r\n")},
     UP ", 354, 250 2.0.0, 250 2.1.0, 250 2.1.5, 554 5.5.0",
     ONE "x\r\n",
     SMTPS_EARLY},
    {"all in one group",
     PLAY_MX,
     {EHLO, S(MAIL RCPT "DATA\r\nx\r\n.\r\n" EVIL)},
     UP ", 554 5.5.0",
     NULL,
     SMTPS_EARLY},
};

#define PLAY_TABLE(name, table)                                                                    \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		for (size_t i = 0; i < ROWS(table); i++)                                           \
			play_row(&(table)[i]);                                                     \
	}

PLAY_TABLE(test_good, good_row)
PLAY_TABLE(test_bdat, bdat_row)
PLAY_TABLE(test_injection, injection_row)
PLAY_TABLE(test_commands, command_row)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_end_of_data), cmocka_unit_test(test_end_of_data_in_chunks),
	    cmocka_unit_test(test_good),        cmocka_unit_test(test_bdat),
	    cmocka_unit_test(test_injection),   cmocka_unit_test(test_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
