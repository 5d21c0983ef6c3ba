/* SPDX-License-Identifier: MIT */
/* engine: the credentials file (S1): lines, errors with their place, whom they are for, its mode.
 */
#include "engine/credentials.h"

#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char good[] = "# smart hosts\n"
			   "\n"
			   "  \t\n"
			   "Smtp.Example.NET:587 ada@example.org  correct horse \tbattery \r\n"
			   "smtp.example.net\tbob\tsecret#1\n"
			   "   # another\n"
			   "relay.example.org:465 carol x";

static const struct find {
	const char *host;
	uint16_t port;
	const char *user, *password; /* NULL: none */
} finds[] = {
    {"smtp.example.net", 587, "ada@example.org", "correct horse \tbattery"},
    {"SMTP.example.net", 587, "ada@example.org", "correct horse \tbattery"},
    {"smtp.example.net", 465, "bob", "secret#1"}, /* the first that fits */
    {"relay.example.org", 465, "carol", "x"},
    {"relay.example.org", 587, NULL, NULL},
    {"mtp.example.net", 587, NULL, NULL},
    {"", 587, NULL, NULL},
};

static void test_find(void **state)
{
	char error[256] = "";
	(void)state;
	struct credentials *c = credentials_parse(slice_str(good), "F", error, sizeof(error));
	assert_string_equal(error, "");
	assert_non_null(c);
	for (size_t i = 0; i < ROWS(finds); i++) {
		const struct smtpc_auth *a = credentials_find(c, finds[i].host, finds[i].port);
		assert_int_equal(a != NULL, finds[i].user != NULL);
		if (a == NULL)
			continue;
		assert_string_equal(a->user, finds[i].user);
		assert_string_equal(a->password, finds[i].password);
	}
	credentials_free(&c);
	assert_null(c);
	assert_null(credentials_find(NULL, "smtp.example.net", 587));
}

#define LONG "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct bad {
	const char *text;
	const char *error;
} bad[] = {
    {"smtp.example.net\n", "F:1:17: the user is missing behind the host"},
    {"# x\n a.test bob\n", "F:2:12: the password is missing behind the user"},
    {"a..test bob x\n", "F:1:1: expected HOST or HOST:PORT"},
    {"[192.0.2.1] bob x\n", "F:1:1: expected HOST or HOST:PORT"},
    {"a.test:0 bob x\n", "F:1:8: the port is a number from 1 to 65535"},
    {"a.test: bob x\n", "F:1:8: the port is a number from 1 to 65535"},
    {"a.test:65536 bob x\n", "F:1:8: the port is a number from 1 to 65535"},
    {"a.test bob " LONG LONG LONG LONG "\n", "F:1:12: longer than 255 octets"},
    {"a.test " LONG LONG LONG LONG " x\n", "F:1:8: longer than 255 octets"},
};

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(bad); i++) {
		char error[256] = "";
		struct credentials *c =
		    credentials_parse(slice_str(bad[i].text), "F", error, sizeof(error));
		assert_null(c);
		assert_string_equal(error, bad[i].error);
	}
	char error[256] = "";
	assert_null(
	    credentials_parse(slice_make("a.test b c\0d\n", 13), "F", error, sizeof(error)));
	assert_string_equal(error, "F:1:11: a NUL");
}

/* Every beginning of a file is good or refused with a place in it. */
static void test_every_end(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof(good); n++) {
		char error[256] = "";
		struct credentials *c =
		    credentials_parse(slice_make(good, n), "F", error, sizeof(error));
		assert_true((c != NULL) == (error[0] == '\0'));
		credentials_free(&c);
	}
}

static void test_mode(void **state)
{
	char path[] = "/tmp/credentials-XXXXXX", error[512];
	static const char text[] = "a.test bob x\n";
	(void)state;
	int fd = mkstemp(path);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	struct credentials *c = credentials_load(path, error, sizeof(error));
	assert_non_null(c);
	assert_string_equal(credentials_find(c, "a.test", 587)->password, "x");
	credentials_free(&c);
	static const mode_t modes[] = {0604, 0602, 0640, 0620, 0610, 0601};
	for (size_t i = 0; i < ROWS(modes); i++) {
		assert_int_equal(fchmod(fd, modes[i]), 0);
		assert_null(credentials_load(path, error, sizeof(error)));
		assert_non_null(strstr(error, "chmod 600"));
	}
	close(fd);
	unlink(path);
	assert_null(credentials_load(path, error, sizeof(error)));
	assert_non_null(strstr(error, "No such file"));
	assert_null(credentials_load("/dev/null", error, sizeof(error)));
	assert_non_null(strstr(error, "regular file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_find),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_every_end),
	    cmocka_unit_test(test_mode),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
