/* SPDX-License-Identifier: MIT */
/*
 * conf: any file and any -o: an error that says something on one line, or a configuration whose
 * every destination has one pattern in normal form and a policy. An exit() of the library's scanner
 * is a finding.
 *
 * Input: the file, and after a NUL an argument of -o.
 */
#include "fuzz.h"

#include "conf/conf.h"
#include "wire/destination.h"

#include <sys/mman.h>
#include <unistd.h>

enum { ERROR_MAX = 512, OVERRIDE_TEXT_MAX = 1024 };

/* The policy of a destination that the pattern means: below it where it begins with "*." */
static void check_policy(const struct conf *c, const char *pattern)
{
	char name[DESTINATION_ROOM + 2];
	struct dane_policy p;
	bool wildcard = pattern[0] == '*';
	snprintf(name, sizeof(name), "%s%s", wildcard ? "x" : "", pattern + wildcard);
	conf_policy_for(c, name, &p);
	FUZZ_CHECK(p.level == LEVEL_MAY || p.level == LEVEL_DANE || p.level == LEVEL_DANE_ONLY);
	(void)conf_route_for(c, name);
	(void)conf_has_submission(c, name);
}

static void check_conf(const struct conf *c)
{
	char normal[DESTINATION_ROOM];
	for (size_t i = 0; i < c->ndestination; i++) {
		const char *pattern = c->destination[i].pattern;
		FUZZ_CHECK(pattern != NULL &&
			   destination_normalise_pattern(slice_str(pattern), normal) ==
			       DESTINATION_OK &&
			   strcmp(pattern, normal) == 0);
		for (size_t k = 0; k < i; k++) /* one section for one destination */
			FUZZ_CHECK(strcmp(pattern, c->destination[k].pattern) != 0);
		check_policy(c, pattern);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64], text[OVERRIDE_TEXT_MAX], error[ERROR_MAX] = "";
	struct slice rest, file = slice_cut(slice_make(data, size), '\0', &rest);
	const char *const set[] = {text};
	int fd = memfd_create("conf", MFD_CLOEXEC);

	FUZZ_CHECK(fd >= 0 && write(fd, file.p, file.n) == (ssize_t)file.n);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	snprintf(text, sizeof(text), "%.*s", (int)rest.n, (const char *)rest.p);
	struct conf *c = conf_load(path, set, text[0] != '\0', NULL, error, sizeof(error));
	if (c != NULL)
		check_conf(c);
	else
		FUZZ_CHECK(error[0] != '\0' && strlen(error) < sizeof(error));
	conf_free(&c);
	FUZZ_CHECK(c == NULL);
	close(fd);
	return 0;
}
