/* SPDX-License-Identifier: MIT */
/* Commands: whatever the arguments, an accepted line is one line with its arguments in place. */
#include "fuzz.h"

#include "wire/command.h"

enum { ARGS = 3, ARG_MAX = 300 };

/* One CRLF, at the end, and no other control character. */
static void check_line(struct buf *out)
{
	struct slice s = buf_slice(out);

	if (buf_ok(out)) {
		FUZZ_CHECK(s.n > 2 && s.p[s.n - 2] == '\r' && s.p[s.n - 1] == '\n');
		for (size_t i = 0; i + 2 < s.n; i++)
			FUZZ_CHECK(s.p[i] >= ' ' && s.p[i] != 0x7f);
	}
	buf_reset(out);
}

/* The path ends at the first ">" outside a quoted string; behind it come only parameters. */
static void check_path(struct buf *out, size_t blanks)
{
	struct slice s = buf_slice(out);
	bool quoted = false;
	size_t at = slice_find(s, '<') + 1;

	if (!buf_ok(out))
		return;
	for (; quoted || s.p[at] != '>'; at++) {
		FUZZ_CHECK(at + 2 < s.n);
		if (s.p[at] == '"')
			quoted = !quoted;
		else if (quoted && s.p[at] == '\\')
			at++;
	}
	for (at++; at < s.n; at++)
		blanks -= s.p[at] == ' ' ? 1 : 0;
	FUZZ_CHECK(blanks == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	char arg[ARGS][ARG_MAX] = {{0}};
	struct buf out;

	/* the arguments stand in the input between 0xff octets, which are in no UTF-8 text */
	for (size_t i = 0; i < ARGS; i++) {
		struct slice one = slice_first(slice_cut(in, 0xff, &in), ARG_MAX - 1);
		if (one.n > 0)
			memcpy(arg[i], one.p, one.n);
	}
	buf_init(&out, 8192);
	command_ehlo(&out, arg[0]);
	check_line(&out);
	command_mail(&out, arg[0], &(struct mail_params){.ret = arg[1], .envid = arg[2]});
	check_path(&out, 2);
	check_line(&out);
	command_rcpt(&out, arg[0], &(struct rcpt_params){.notify = arg[1], .orcpt = arg[2]});
	check_path(&out, 2);
	check_line(&out);
	command_rcpt(&out, arg[0], NULL);
	check_path(&out, 0);
	check_line(&out);
	buf_free(&out);
	return 0;
}
