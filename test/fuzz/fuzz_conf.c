/* SPDX-License-Identifier: MIT */
/*
 * conf: any file and any -o: an error that says something on one line, or a configuration whose
 * every destination has a name and a policy. An exit() of the library's scanner is a finding.
 *
 * Input: the file, and after a NUL an argument of -o.
 */
#include "fuzz.h"

#include "conf/conf.h"

#include <sys/mman.h>
#include <unistd.h>

enum { ERROR_MAX = 512, OVERRIDE_TEXT_MAX = 1024 };

static void check_conf(const struct conf *c)
{
	struct dane_policy p;
	for (size_t i = 0; i < c->ndestination; i++) {
		const char *name = c->destination[i].name;
		FUZZ_CHECK(name != NULL && name[0] != '\0');
		conf_policy_for(c, name, &p);
		FUZZ_CHECK(p.level == LEVEL_MAY || p.level == LEVEL_DANE ||
			   p.level == LEVEL_DANE_ONLY);
		(void)conf_route_for(c, name);
		(void)conf_has_submission(c, name);
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
