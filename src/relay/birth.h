/* SPDX-License-Identifier: MIT */
/*
 * relay: how a process of the relay comes to be: the parent forks and executes the program anew, so
 * that a child has nothing of the parent's memory, nor its addresses, and everything that it needs
 * from one sealed memory file: its role, its descriptors, and the configuration as the parent has
 * read and checked it. Whatever has become of the file since, and of the program on the disk: all
 * processes are of one configuration and one program.
 */
#ifndef RELAY_BIRTH_H
#define RELAY_BIRTH_H

#include "base/arena.h"
#include "relay/process.h"

/* --- The parent's side --- */

struct program {
	int fd;                 /* this program, whatever has become of its name; -1: none */
	char path[256];         /* a way to it, for the sandbox */
	char interpreter[4096]; /* the folder of its dynamic linker; "": it has none */
};

/* At start, before the sandbox closes. False: errno. */
bool program_open(struct program *p);
void program_close(struct program *p);
/*
 * In a new process, whose signals are set: becomes the child. Descriptors in b lose their
 * close-on-exec. Returns if that fails, with errno.
 */
void birth_exec(const struct program *p, const struct birth *b);

/* --- The child's --- */

/* relay_born() in relay.h */

/* --- The memory file, for both and for tests --- */

enum { BIRTH_FDS_MAX = LISTENERS_MAX + 3 };
void birth_put(struct buf *out, const struct birth *b);
struct born {
	struct arena mem;
	struct birth birth; /* .conf and .log are to be made */
	struct listener listener[LISTENERS_MAX];
	struct conf_source source;
};
/* False: this is no birth. mem is the caller's to free in any case. */
bool birth_get(struct slice text, struct born *out);

#endif
