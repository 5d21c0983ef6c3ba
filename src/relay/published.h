/* SPDX-License-Identifier: MIT */
/*
 * relay: what this relay is to the world: the names and domains of its configuration, and the
 * certificates in its files, as far as they are public.
 */
#ifndef RELAY_PUBLISHED_H
#define RELAY_PUBLISHED_H

#include "conf/conf.h"
#include "engine/selfcheck_round.h"
#include "selfcheck/target.h"
#include "tls/tls_server.h"

/* Is there a name to look at? */
bool published_any(const struct conf *c);

struct published {
	struct arena mem;
	struct selfcheck_target *target;
	size_t ntarget;
	const char **domain;
	size_t ndomain;
};

/* False: `error` says which value is none, or that memory is out. */
bool published_load(struct published *p, const struct conf *c, char *error, size_t room);
void published_free(struct published *p);

/* A set of chains as somebody serves it, or as the files have it. */
struct certset {
	struct tls_server *server; /* public only; NULL: none */
	const char *const *file;   /* relay.certificate */
	size_t n;
	char **key_trouble; /* of each: why its key cannot serve it; NULL: nothing. NULL array: keys
			       were not looked at */
};

/* From the files. Keys are looked at with `keys` and forgotten at once. False: `error` says which
 * file cannot be read. */
bool certset_load(struct certset *s, const struct conf *c, bool keys, char *error, size_t room);
/*
 * The same, with keys, by a process of its own that ends with it: neither a key nor a file that may
 * hold one is ever in the memory of the caller. Before the sandbox closes.
 */
bool certset_load_apart(struct certset *s, const struct conf *c, char *error, size_t room);
/* From PEM texts, in the order of the configuration. */
bool certset_from_pem(struct certset *s, const struct conf *c, const struct slice *pem, size_t n,
		      char *error, size_t room);
void certset_free(struct certset *s);

/*
 * The chains that a client sees who asks for this name, as inputs of a check; at most `room`.
 * Those that are in `in` already are not added again. Labels live in mem. False: out of memory.
 */
bool certset_shown(const struct certset *s, const char *name, bool served, struct arena *mem,
		   struct selfcheck_input *in, size_t room, size_t *n);

#endif
