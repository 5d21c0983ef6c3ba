/* SPDX-License-Identifier: MIT */
/* relay: what an intake may hand in, field by field. */
#include "relay/mail_check.h"

#include "unit.h"

static const struct {
	const char *what; /* NULL: fine */
	const char *queue_id, *sender, *envid, *ret, *origin, *rcpt, *orcpt, *notify;
	bool smtputf8;
} row[] = {
#define ID "0123456789abcdef"
#define FROM "a@b.example"
#define TO "c@d.example"
#define WHO "client 192.0.2.1"
    {NULL, ID, FROM, "an id", "FULL", WHO, TO, "rfc822;x+2Bc@d", "SUCCESS,delay"},
    {NULL, ID, "", NULL, "HDRS", WHO, "c@[192.0.2.1]", NULL, "NEVER"},
    {NULL, ID, "\xc3\xbc@b.example", NULL, NULL, WHO, "\xc3\xbc@d.example", "utf-8;\xc3\xbc@x",
     NULL, true},
    {NULL, ID, "a@b_c.example", NULL, NULL, WHO, TO, NULL, NULL},
    {"queue-id", "", FROM, NULL, NULL, WHO, TO, NULL, NULL},
    {"queue-id", "a b", FROM, NULL, NULL, WHO, TO, NULL, NULL},
    {"queue-id", "../x", FROM, NULL, NULL, WHO, TO, NULL, NULL},
    {"sender", ID, "a", NULL, NULL, WHO, TO, NULL, NULL},
    {"sender", ID, "a\r\nQUIT@b", NULL, NULL, WHO, TO, NULL, NULL},
    {"sender", ID, "a\xc2\x85@b", NULL, NULL, WHO, TO, NULL, NULL, true},
    {"sender", ID, "a\xe2\x80\xae@b", NULL, NULL, WHO, TO, NULL, NULL, true},
    {"sender", ID, "a\x1b[2J@b", NULL, NULL, WHO, TO, NULL, NULL},
    {"sender", ID, "\xc3\xbc@b.example", NULL, NULL, WHO, TO, NULL, NULL},
    {"sender", ID, "a@b.example.", NULL, NULL, WHO, TO, NULL, NULL},
    {"envid", ID, FROM, "a\nb", NULL, WHO, TO, NULL, NULL},
    {"envid", ID, FROM, "\xc2\x9b", NULL, WHO, TO, NULL, NULL},
    {"ret", ID, FROM, NULL, "full", WHO, TO, NULL, NULL},
    {"origin", ID, FROM, NULL, NULL, "client\nevent=forged", TO, NULL, NULL},
    {"origin", ID, FROM, NULL, NULL, "\xc2\x9b", TO, NULL, NULL},
    {"recipient", ID, FROM, NULL, NULL, WHO, "", NULL, NULL},
    {"recipient", ID, FROM, NULL, NULL, WHO, "postmaster", NULL, NULL},
    {"recipient", ID, FROM, NULL, NULL, WHO, "c@d\n.example", NULL, NULL},
    {"recipient", ID, FROM, NULL, NULL, WHO, "c@d.example.", NULL, NULL},
    {"recipient", ID, FROM, NULL, NULL, WHO, "c@/var/run/x", NULL, NULL},
    {"recipient", ID, FROM, NULL, NULL, WHO, "c@d>x", NULL, NULL},
    {"recipient", ID, FROM, NULL, NULL, WHO, "c\xc2\x9b@d.example", NULL, NULL, true},
    {"recipient", ID, FROM, NULL, NULL, WHO, "e\xcc\x81@d.example", NULL, NULL, true},
    {"recipient", ID, FROM, NULL, NULL, WHO, "\xc3\xbc@d.example", NULL, NULL},
    {"orcpt", ID, FROM, NULL, NULL, WHO, TO, "rfc822;a+00b", NULL},
    {"orcpt", ID, FROM, NULL, NULL, WHO, TO, "", NULL},
    {"notify", ID, FROM, NULL, NULL, WHO, TO, NULL, ""},
    {"notify", ID, FROM, NULL, NULL, WHO, TO, NULL, "NEVER,SUCCESS"},
    {"notify", ID, FROM, NULL, NULL, WHO, TO, NULL, "SUCCESS\r\n"},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(row); i++) {
		struct mail_rcpt rcpt[2] = {{0, TO, NULL, NULL},
					    {1, row[i].rcpt, row[i].orcpt, row[i].notify}};
		struct mail m = {.queue_id = row[i].queue_id,
				 .reverse_path = row[i].sender,
				 .envid = row[i].envid,
				 .ret = row[i].ret,
				 .origin = row[i].origin,
				 .smtputf8 = row[i].smtputf8,
				 .rcpt = rcpt,
				 .nrcpt = 2};
		const char *got = mail_complaint(&m);
		if ((got == NULL) != (row[i].what == NULL) || (got && strcmp(got, row[i].what)))
			print_error("row %zu: %s instead of %s\n", i, got ? got : "fine",
				    row[i].what ? row[i].what : "fine");
		assert_int_equal(got == NULL, row[i].what == NULL);
		if (got != NULL)
			assert_string_equal(got, row[i].what);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
