/* SPDX-License-Identifier: MIT */
/* wire: commands, and that no argument becomes a second one. */
#include "wire/command.h"

#include "unit.h"

static void expect(struct buf *b, const char *line)
{
	assert_true(buf_ok(b));
	assert_string_equal(buf_cstr(b), line);
	buf_reset(b);
}

static void test_lines(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	command_ehlo(&b, "mx.example.org");
	expect(&b, "EHLO mx.example.org\r\n");
	command_ehlo(&b, "[IPv6:2001:db8::1]");
	expect(&b, "EHLO [IPv6:2001:db8::1]\r\n");
	command_helo(&b, "mx");
	expect(&b, "HELO mx\r\n");
	command_starttls(&b);
	expect(&b, "STARTTLS\r\n");
	command_data(&b);
	expect(&b, "DATA\r\n");
	command_rset(&b);
	expect(&b, "RSET\r\n");
	command_quit(&b);
	expect(&b, "QUIT\r\n");
	buf_free(&b);
}

static void test_mail(void **state)
{
	const struct mail_params all = {
	    .size = 1234, .body_8bit = true, .smtputf8 = true, .ret = "HDRS", .envid = "a+b=c d"};
	const struct mail_params none = {0};
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	command_mail(&b, "", NULL);
	expect(&b, "MAIL FROM:<>\r\n");
	command_mail(&b, NULL, &none);
	expect(&b, "MAIL FROM:<>\r\n");
	command_mail(&b, "\"a> \\\"b\"@example.org", &none);
	expect(&b, "MAIL FROM:<\"a> \\\"b\"@example.org>\r\n");
	command_mail(&b, "a@b", &all);
	expect(&b, "MAIL FROM:<a@b> SIZE=1234 BODY=8BITMIME SMTPUTF8 RET=HDRS "
		   "ENVID=a+2Bb+3Dc+20d\r\n");
	buf_free(&b);
}

static void test_rcpt(void **state)
{
	const struct rcpt_params all = {.notify = "SUCCESS,FAILURE", .orcpt = "a+b@c"};
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	command_rcpt(&b, "a@b", NULL);
	expect(&b, "RCPT TO:<a@b>\r\n");
	command_rcpt(&b, "gr\xc3\xbc@b", NULL);
	expect(&b, "RCPT TO:<gr\xc3\xbc@b>\r\n");
	command_rcpt(&b, "a@b", &all);
	expect(&b, "RCPT TO:<a@b> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a+2Bb@c\r\n");
	command_rcpt(&b, "a@b", &(struct rcpt_params){.orcpt_given = "utf-8;\xc3\xbc@c"});
	expect(&b, "RCPT TO:<a@b> ORCPT=utf-8;\xc3\xbc@c\r\n");
	command_rcpt(&b, "a@b", &(struct rcpt_params){.orcpt_given = "utf-8;\xc2\x9b@c"});
	assert_false(buf_ok(&b));
	buf_reset(&b);
	command_rcpt(&b, "a@b", &(struct rcpt_params){.orcpt_given = "rfc822;a c"});
	assert_false(buf_ok(&b));
	buf_free(&b);
}

static const char *const bad_path[] = {
    "a@b\r\nQUIT",    "a\n@b",        "a\r@b",
    "a@b> SIZE=1 <c", "a b@c",        "<a@b>",
    "\"a\nb\"@c",     "\"a\\\nb\"@c", "\"a@b",
    "\"a\\\"@b",      "a\"> x\"@b",   "\t@b",
    "\"a\"> \"@b",    "a@b\x7f",      "\"a\\\\\" x\"@b",
    "a\"b@c",         "a\xc2\x85@b",  "\"\xe2\x80\xae\"@b",
    "a\xff@b",
};

static void test_bad_paths(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	for (size_t i = 0; i < ROWS(bad_path); i++) {
		command_mail(&b, bad_path[i], NULL);
		assert_false(buf_ok(&b));
		buf_reset(&b);
		command_rcpt(&b, bad_path[i], NULL);
		assert_false(buf_ok(&b));
		buf_reset(&b);
	}
	buf_free(&b);
}

static const char *const bad_word[] = {"", "a b", "a\r\nb", "a\n", "a\tb", "\x7f", "\xc3\xbc"};

static void test_bad_words(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	for (size_t i = 0; i < ROWS(bad_word); i++) {
		const struct mail_params mail = {.ret = bad_word[i]};
		const struct rcpt_params rcpt = {.notify = bad_word[i]};
		command_ehlo(&b, bad_word[i]);
		assert_false(buf_ok(&b));
		buf_reset(&b);
		command_helo(&b, bad_word[i]);
		assert_false(buf_ok(&b));
		buf_reset(&b);
		command_mail(&b, "a@b", &mail);
		assert_false(buf_ok(&b));
		buf_reset(&b);
		command_rcpt(&b, "a@b", &rcpt);
		assert_false(buf_ok(&b));
		buf_reset(&b);
	}
	command_ehlo(&b, NULL);
	assert_false(buf_ok(&b));
	buf_free(&b);
}

/* Every octet: what is not an xchar is encoded, so that nothing can leave its parameter. */
static void test_xtext(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	for (unsigned c = 0; c < 256; c++) {
		uint8_t octet = (uint8_t)c;
		char want[8];
		bool plain = c >= 33 && c <= 126 && c != '+' && c != '=';
		if (plain)
			(void)snprintf(want, sizeof(want), "%c", (int)c);
		else
			(void)snprintf(want, sizeof(want), "+%02X", c);
		xtext_encode(&b, slice_make(&octet, 1));
		expect(&b, want);
	}
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lines),     cmocka_unit_test(test_mail),
	    cmocka_unit_test(test_rcpt),      cmocka_unit_test(test_bad_paths),
	    cmocka_unit_test(test_bad_words), cmocka_unit_test(test_xtext),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
