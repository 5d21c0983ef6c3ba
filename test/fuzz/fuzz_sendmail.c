/* SPDX-License-Identifier: MIT */
/*
 * danelaw sendmail: whatever a program writes to its standard input becomes a message of whole CRLF
 * lines with the fields it needs and without those that must not go out, to recipients that are
 * addresses; or it is refused.
 *
 * There is no other reader of mail from files: this is the way of everything that was not handed in
 * by SMTP. Input: an octet of options, then standard input.
 */
#include "fuzz.h"

#include "cmd/sendmail.h"
#include "conf/conf.h"
#include "wire/address.h"
#include "wire/header.h"

#include <stdarg.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

enum { MEM = 16 * 1024 * 1024, TEXT = 1024 * 1024 };

/* --- what the other files of the command would do --- */

int cmd_fail(const struct cmd *c, int code, const char *fmt, ...)
{
	char text[4096];
	va_list ap;
	(void)c;
	va_start(ap, fmt);
	FUZZ_CHECK(vsnprintf(text, sizeof(text), fmt, ap) > 0);
	va_end(ap);
	return code;
}

int cmd_queue(struct cmd *c)
{
	(void)c;
	return EX_USAGE;
}

int sendmail_hand_over(struct sendmail *s)
{
	(void)s;
	return EX_OK;
}

int sendmail_pass_through(struct sendmail *s)
{
	(void)s;
	return EX_OK;
}

/* --- what must hold --- */

/* Whole lines, each ended by CRLF, and no other CR, LF or NUL. */
static void check_lines(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		FUZZ_CHECK(s.p[i] != '\0');
		FUZZ_CHECK(s.p[i] != '\n' || (i > 0 && s.p[i - 1] == '\r'));
		FUZZ_CHECK(s.p[i] != '\r' || (i + 1 < s.n && s.p[i + 1] == '\n'));
	}
	FUZZ_CHECK(s.n == 0 || s.p[s.n - 1] == '\n');
}

static void check_head(const struct sendmail *s)
{
	struct slice rest = buf_slice(&s->head);
	struct header_field f;
	unsigned from = 0, date = 0, id = 0;
	int n;
	check_lines(rest);
	while ((n = header_field_parse(rest, &f)) > 0) {
		FUZZ_CHECK(!slice_eq_nocase_str(f.name, "Bcc"));
		FUZZ_CHECK(!slice_eq_nocase_str(f.name, "Resent-Bcc"));
		FUZZ_CHECK(!slice_eq_nocase_str(f.name, "Return-Path"));
		from += slice_eq_nocase_str(f.name, "From");
		date += slice_eq_nocase_str(f.name, "Date");
		id += slice_eq_nocase_str(f.name, "Message-ID");
		rest = slice_from(rest, (size_t)n);
	}
	FUZZ_CHECK(n == HEADER_BLANK_LINE && rest.n == 2);
	FUZZ_CHECK(from > 0 && date > 0 && id > 0);
}

static void check_rcpts(const struct sendmail *s)
{
	struct address a;
	for (size_t i = 0; i < s->nrcpt; i++) {
		FUZZ_CHECK(address_parse(slice_str(s->rcpt[i].address), &a) == ADDRESS_OK);
		for (size_t k = 0; k < i; k++)
			FUZZ_CHECK(strcmp(s->rcpt[i].address, s->rcpt[k].address) != 0);
	}
	FUZZ_CHECK(s->from_header || s->nrcpt == 0);
}

/* --- standard input --- */

static void become_input(struct slice in)
{
	int fd = memfd_create("stdin", 0);
	FUZZ_CHECK(fd >= 0 && write(fd, in.p, in.n) == (ssize_t)in.n);
	FUZZ_CHECK(lseek(fd, 0, SEEK_SET) == 0 && dup2(fd, STDIN_FILENO) == STDIN_FILENO);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {NULL, "A \"B\" \\C", "\xc3\xa4\xc3\xb6 caf\xc3\xa9",
					    "\xff\r\nX: y"};
	struct slice in = slice_make(data, size);
	uint8_t options = fuzz_take(&in);
	struct conf conf = {.relay_size_max = TEXT};
	struct cmd c = {.conf = &conf};
	struct sendmail s = {.cmd = &c,
			     .from = (options & 4) != 0 ? "" : "a@example.org",
			     .full_name = names[options >> 3 & 3],
			     .from_header = (options & 1) != 0,
			     .ignore_dots = (options & 2) != 0,
			     .host = "host.example"};
	arena_init(&s.mem, MEM);
	buf_init(&s.text, TEXT);
	buf_init(&s.head, TEXT);
	become_input(in);
	int code = sendmail_read(&s);
	if (code == EX_OK) {
		check_lines(buf_slice(&s.text));
		code = sendmail_make_message(&s);
	}
	if (code == EX_OK) {
		check_head(&s);
		check_lines(s.body);
		check_rcpts(&s);
	}
	free(s.rcpt);
	buf_free(&s.text);
	buf_free(&s.head);
	arena_free(&s.mem);
	return 0;
}
