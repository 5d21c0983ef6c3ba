/* SPDX-License-Identifier: MIT */
/*
 * cmd: `danelaw tlsa roll` inside: a rollover with all that belongs to it (struct roll_job), its
 * state file (roll_file.c), one look at the world (roll_look.c), what it does to the world
 * (roll_act.c), words (roll_text.c), the driver (roll_run.c) and the arguments (roll.c). Decisions
 * are those of src/roll.
 */
#ifndef CMD_ROLL_H
#define CMD_ROLL_H

#include "cmd/tlsa.h"

#include "engine/authority.h"
#include "engine/served.h"
#include "roll/roll.h"

enum {
	ROLL_RECORDS_MAX = 16,
	ROLL_ADDRESSES_MAX = 16,
	ROLL_NEXT_MAX = 8,
};

/* The exit codes of `roll run`: a contract, see danelaw-tlsa(1). */
enum { ROLL_EXIT_OVER = 0, ROLL_EXIT_BLOCKED, ROLL_EXIT_UNKNOWN, ROLL_EXIT_WAITS, ROLL_EXIT_ACTED };

struct roll_records {
	struct tlsa rr[ROLL_RECORDS_MAX];
	size_t n;
};

/* Strings and data are in `mem`. */
struct roll_job {
	struct arena mem;
	struct roll machine;
	const char *host;
	uint16_t port;
	const char *owner; /* where the records are: _PORT._tcp.HOST, or the end of its alias */
	uint32_t ttl;      /* of records that are published */
	struct tlsa form;
	struct roll_records old, new; /* new is empty until the key is made */
	const char *key_file;         /* to be made; NULL: the next key was given */
	const char *csr_file;         /* to be written with it; NULL: none */
	enum tls_key_type key_type;
	struct ipaddr address[ROLL_ADDRESSES_MAX]; /* of the server; none: look them up */
	size_t naddress;
	uint16_t connect_port;
	const char *hook; /* a program; NULL: somebody deploys by hand */
	bool nsupdate;    /* else somebody publishes by hand */
	const char *server, *tsig;
};

void roll_job_init(struct roll_job *j);
void roll_job_free(struct roll_job *j);
bool roll_records_have(const struct roll_records *r, const struct tlsa *rr);
bool roll_records_add(struct roll_records *r, const struct tlsa *rr);

/* --- The state file --- */

/* An open lock: two processes never work on one rollover. */
struct roll_lock {
	int fd;
};
/* EX_OK, or all is said: EX_TEMPFAIL when another process has it. */
int roll_lock(const struct cmd *c, const char *path, struct roll_lock *l);
void roll_unlock(struct roll_lock *l);
bool roll_file_exists(const char *path);
int roll_load(const struct cmd *c, const char *path, struct roll_job *j);
/* Replaces the file in one step and waits until it is on the disk. */
int roll_save(const struct cmd *c, const char *path, const struct roll_job *j);
/* Waits until the name of this file is on the disk, which it is when its folder is. false: errno.
 */
bool roll_sync_folder_of(const char *path);

/* --- A look at the world --- */

/* Everything lives until roll_look_free(). */
struct roll_look {
	struct arena mem;
	struct roll_facts facts;
	const char *zone;          /* NULL: not found */
	const struct answer *tlsa; /* by validated lookup; NULL: out of memory */
	const struct authority *authority;
	const struct served *served;
	const char *trouble; /* the first thing that could not be looked at, one line; NULL: none */
	struct engine *engine;
	struct authority *own_authority;
	struct served *own_served;
	struct answer *own_tlsa;
};

/* EX_OK (the facts may still say that much is not known), or all is said. */
int roll_look(const struct cmd *c, const struct roll_job *j, struct roll_look *out);
void roll_look_free(struct roll_look *l);
/* The source of a served chain; NULL: out of memory. */
struct tls_source *roll_look_source(struct roll_look *l, const struct tls_facts *f);

/* --- What is done --- */

enum roll_done {
	ROLL_DONE_WELL,
	ROLL_BY_HAND, /* nobody is set up to do it: said on standard output */
	ROLL_FAILED,  /* tried; said on standard error */
};
enum roll_done roll_act(const struct cmd *c, struct roll_job *j, const struct roll_look *l,
			enum roll_act act);
/* Is nobody set up to do it? */
bool roll_is_by_hand(const struct roll_job *j, enum roll_act act);
/* The next key's records, once its file is there. EX_OK, or all is said. */
int roll_take_key(const struct cmd *c, struct roll_job *j, const char *path);

/* --- Words --- */

void roll_print_move(const struct roll_job *j, const struct roll_move *m,
		     const struct roll_look *l);
bool roll_print_json(const struct roll_job *j, const struct roll_move *m,
		     const struct roll_look *l);
/* What act means for a person, with the records to publish or take out. */
void roll_print_act(const struct roll_job *j, enum roll_act act, bool would);
void roll_print_plan(const struct roll_job *j);

/* --- The driver --- */

struct roll_run {
	const struct cmd *cmd;
	const char *path;
	struct roll_job *job;
	bool abort, dry, wait, json, quiet;
	uint32_t poll_s;
};
/* Does what is due. The caller has the lock, and has loaded the job. */
int roll_drive(struct roll_run *r);

#endif
