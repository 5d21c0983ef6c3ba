/* SPDX-License-Identifier: MIT */
/*
 * crypt(3), and nothing else: the one place that includes its header.
 *
 * Refuses to choose costs: the library's defaults grow with its releases.
 */
#include "users/room.h"

#include <crypt.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(USERS_PASSWORD_MAX < CRYPT_MAX_PASSPHRASE_SIZE, "passwords fit");
_Static_assert(USERS_HASH_MAX < CRYPT_OUTPUT_SIZE, "hashes fit");

bool users_crypt(const char *password, const char *setting, char out[static USERS_HASH_MAX + 1])
{
	struct crypt_data *d = calloc(1, sizeof(*d)); /* 32 KiB: not for the stack */
	if (d == NULL)
		return false;
	const char *hash = crypt_r(password, setting, d);
	/* A failure is NULL or begins with '*'. */
	bool ok = hash != NULL && hash[0] != '*' && strlen(hash) <= USERS_HASH_MAX;
	if (ok)
		memcpy(out, hash, strlen(hash) + 1);
	explicit_bzero(d, sizeof(*d));
	free(d);
	return ok;
}

bool users_crypt_knows(struct slice hash)
{
	char text[USERS_HASH_MAX + 1];
	if (hash.n > USERS_HASH_MAX)
		return false;
	memcpy(text, hash.p, hash.n);
	text[hash.n] = '\0';
	int verdict = crypt_checksalt(text);
	return verdict != CRYPT_SALT_INVALID && verdict != CRYPT_SALT_METHOD_DISABLED;
}

static const char *password_error(struct slice password)
{
	if (password.n == 0)
		return "the password is empty";
	if (password.n > USERS_PASSWORD_MAX)
		return "the password has more than 511 octets";
	for (size_t i = 0; i < password.n; i++) {
		if (password.p[i] < ' ' || password.p[i] == 0x7f)
			return "the password has a control character";
	}
	return NULL;
}

/* A fresh salt from the system, the library's default cost. */
static bool make_setting(char out[static CRYPT_GENSALT_OUTPUT_SIZE])
{
	static const char *const prefixes[] = {"$y$", "$6$"};
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		if (crypt_gensalt_rn(prefixes[i], 0, NULL, 0, out, CRYPT_GENSALT_OUTPUT_SIZE) !=
		    NULL)
			return true;
	}
	return false;
}

bool users_hash(struct slice password, char hash[static USERS_HASH_MAX + 1], char *error,
		size_t room)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE], text[USERS_PASSWORD_MAX + 1] = "";
	const char *wrong = password_error(password);
	if (wrong != NULL) {
		snprintf(error, room, "%s", wrong);
		return false;
	}
	memcpy(text, password.p, password.n);
	bool ok = make_setting(setting) && users_crypt(text, setting, hash);
	if (!ok)
		snprintf(error, room, "crypt(3) failed: %s", strerror(errno));
	explicit_bzero(text, sizeof(text));
	return ok;
}
