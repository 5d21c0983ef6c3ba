/* SPDX-License-Identifier: MIT */
/*
 * cmd: what the actions of `danelaw tlsa` share: names, files, forms of records and how they are
 * printed.
 */
#ifndef CMD_TLSA_H
#define CMD_TLSA_H

#include "cmd/cmd.h"

#include "base/arena.h"
#include "tls/keys.h"
#include "wire/ipaddr.h"
#include "wire/tlsa.h"

enum {
	TLSA_FILE_MAX = 4 * 1024 * 1024, /* a PEM file: more is a wrong file */
	TLSA_MEM_MAX = 64 * 1024 * 1024,
	TLSA_HOST_MAX = 256,
	TLSA_OWNER_MAX = TLSA_HOST_MAX + 16,
	TLSA_PORT_DEFAULT = 25,
	TLSA_TTL_DEFAULT = 3600,
};

/* One action: c->argv[0] is its name. */
int tlsa_gen(struct cmd *c);
int tlsa_verify(struct cmd *c);
int tlsa_roll(struct cmd *c);

/* The source in a PEM file. On an error *code is the exit code and all is said. */
struct tls_source *tlsa_read_source(const struct cmd *c, const char *path, int *code);
/* The whole of a small file. Returns EX_OK, or the exit code, and all is said. */
int tlsa_read_file(const struct cmd *c, const char *path, struct buf *out);

/* Values of options. They return EX_OK, or EX_USAGE, and all is said. */
int tlsa_take_host(const struct cmd *c, const char *option, const char *text,
		   char out[static TLSA_HOST_MAX]);
int tlsa_take_number(const struct cmd *c, const char *option, const char *text, uint64_t min,
		     uint64_t max, uint64_t *out);
/* HOST, HOST:PORT, ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT. port stays when none is given; address
 * has family 0 when a name is given. */
int tlsa_take_server(const struct cmd *c, const char *option, const char *text,
		     char host[static TLSA_HOST_MAX], struct ipaddr *address, uint16_t *port);
/* "3 1 1": usage, selector, matching type. false: it has not this form. */
bool tlsa_form_from_text(const char *text, struct tlsa *out);
/* Is it a form for SMTP (T1)? */
int tlsa_check_form(const struct cmd *c, const struct tlsa *form);

void tlsa_owner(const char *host, uint16_t port, char out[static TLSA_OWNER_MAX]);
/* "3 1 1 hex" in mem. */
const char *tlsa_to_text(struct arena *mem, const struct tlsa *rr);

/*
 * The certificate that a record of this form is made of: the leaf or key for usage 3; for usage 2
 * the topmost certificate of the chain with which a strict client would verify the leaf for `host`
 * at time `at`. Then the record. false: `error` says why.
 */
bool tlsa_make_record(struct arena *mem, const struct tls_source *s, const struct tlsa *form,
		      const char *host, int64_t at, struct tlsa *out, size_t *which, char *error,
		      size_t room);

#endif
