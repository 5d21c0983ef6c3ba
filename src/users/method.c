/* SPDX-License-Identifier: MIT */
/*
 * The methods of crypt(5) by the prefix of a hash, and which of them we accept. Pure.
 *
 * Refuses: what a stolen file would give away within hours on one graphics card.
 */
#include "users/room.h"

static const struct method {
	const char *prefix;
	const char *name;
	size_t length; /* a hash is at least so long: a setting alone is none */
	const char *refused;
} methods[] = {
    {"$y$", "yescrypt", 40, NULL},
    {"$gy$", "gost-yescrypt", 40, NULL},
    {"$7$", "scrypt", 50, NULL},
    {"$2b$", "bcrypt", 60, NULL},
    {"$2y$", "bcrypt", 60, NULL},
    {"$2a$", "bcrypt", 60, NULL},
    {"$6$", "SHA-512", 90, NULL},
    {"$5$", "SHA-256", 47, NULL},
    {"$2x$", "bcrypt", 0, "a bcrypt hash of a faulty old program ($2x$)"},
    {"$1$", "MD5", 0, "an MD5 hash, which is too weak"},
    {"$md5", "MD5", 0, "an MD5 hash, which is too weak"},
    {"$sha1$", "SHA-1", 0, "a SHA-1 hash, which is too weak"},
    {"$3$", "NT", 0, "an NT hash, which is too weak"},
    {"_", "DES", 0, "a DES hash, which is too weak"},
    {"{", "unknown", 0, "a hash in {braces}: write the form of crypt(3) without them"},
    {"$", "unknown", 0, "a password hash of an unknown method"},
};

static bool starts(struct slice s, const char *prefix)
{
	return slice_eq(slice_first(s, slice_str(prefix).n), slice_str(prefix));
}

static const struct method *find(struct slice hash)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (starts(hash, methods[i].prefix))
			return &methods[i];
	}
	return NULL;
}

/* 13 of [./0-9A-Za-z]; longer ones are DES of long passwords, piece by piece ("bigcrypt"). */
static bool looks_like_des(struct slice hash)
{
	if (hash.n < 13 || (hash.n - 2) % 11 != 0)
		return false;
	for (size_t i = 0; i < hash.n; i++) {
		if (!ascii_is_alnum(hash.p[i]) && hash.p[i] != '.' && hash.p[i] != '/')
			return false;
	}
	return true;
}

const char *users_method(struct slice hash)
{
	const struct method *m = find(hash);
	if (m != NULL)
		return m->name;
	return looks_like_des(hash) ? "DES" : "unknown";
}

const char *users_hash_refused(struct slice hash)
{
	const struct method *m = find(hash);
	if (m == NULL && looks_like_des(hash))
		return "a DES hash, which is too weak";
	if (m == NULL)
		return "not a password hash (is it the password itself?)";
	if (m->refused != NULL)
		return m->refused;
	return hash.n < m->length ? "an incomplete password hash" : NULL;
}
