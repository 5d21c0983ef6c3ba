/* SPDX-License-Identifier: MIT */
/*
 * cmd: the program: one file per subcommand, and what they share. Reads arguments, prints results;
 * every decision is made elsewhere.
 */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include "cmd/say.h"
#include "conf/conf.h"
#include "dane/outcome.h"
#include "json/json.h"
#include "wire/destination.h"

#include <stdio.h>

enum { CMD_ERROR_MAX = 1024 };

/* What main() prepared for a subcommand. */
struct cmd {
	const char *name;
	int argc; /* argv[0] is the subcommand */
	char **argv;
	struct conf *conf;
	struct log *log;
	struct conf *(*reload)(void *arg, char *error,
			       size_t room); /* the same configuration, read again */
	void *reload_arg;
	bool stdin_closed; /* descriptor 0 was closed when the program started */
};

int cmd_check(struct cmd *c);
int cmd_send(struct cmd *c);
int cmd_verify(struct cmd *c);
int cmd_resolve(struct cmd *c);
int cmd_selfcheck(struct cmd *c);
int cmd_passwd(struct cmd *c);
int cmd_relay(struct cmd *c);
int cmd_queue(struct cmd *c);
int cmd_audit(struct cmd *c);
int cmd_sendmail(struct cmd *c);
int cmd_tlsa(struct cmd *c);

/* "danelaw SUBCOMMAND: message" on one line of standard error. Returns code. */
int cmd_fail(const struct cmd *c, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* After failed lookups: says on standard error when it is our own resolver that does not work
 * (diagnose.c). Runs the loop. */
struct engine;
void diagnose_dns(const struct cmd *c, struct engine *e);

/* --- Options (opts.c) --- */

struct opt {
	char letter;       /* 0: none */
	const char *word;  /* long name */
	const char *value; /* its name in the help; NULL: takes none */
	const char *help;
};

struct usage {
	const char *synopsis; /* behind "danelaw " */
	const char *summary;
	const struct opt *opt;
	size_t nopt;
	const char *more; /* printed at the end of --help; may be NULL */
};

enum { OPTS_END = -1, OPTS_BAD = -2, OPTS_HELP = -3 };

/*
 * The next option: its index in the table, or one of the above. OPTS_BAD: already explained on
 * standard error (the option is named and the nearest known one suggested). OPTS_HELP: already
 * printed. After OPTS_END the operands are argv[optind] and following. With stop_at_operand nothing
 * behind the first operand is an option.
 */
int opts_next(const char *who, const struct usage *u, int argc, char **argv, bool stop_at_operand,
	      const char **value);

/* One option: its index in the table and its value (NULL: it takes none). EX_OK, or the exit code,
 * and all is said. */
typedef int opts_taker(void *arg, int option, const char *value);
/*
 * All options of a command, each to take(). true: the command goes on, and its operands are
 * argv[optind] and following. false: it ends here with *code: the help was asked for (EX_OK), or an
 * option or its value is wrong, and all is said.
 */
bool opts_all(const char *who, const struct usage *u, const struct cmd *c, opts_taker *take,
	      void *arg, int *code);
/* Refuses what is left behind the options. EX_OK, or EX_USAGE, and all is said. `who` as above. */
int opts_no_operand(const char *who, const struct cmd *c);

/* --- Files (input.c) --- */

struct buf;
/* Appends the whole file to `out`; a file that is larger than `out` may become shows in buf_ok().
 * 0, or the errno of opening or reading it. */
int input_read_file(const char *path, struct buf *out);
/* The same, where "-" is standard input. */
int input_read(const char *path, struct buf *out);

/* --- Text (text.c) --- */

struct style {
	bool color, utf8;
};
struct style style_of(FILE *f); /* colours only on a terminal and without NO_COLOR */
enum tone { TONE_GOOD, TONE_WARN, TONE_BAD, TONE_DIM, TONE_BOLD };
const char *tone_on(const struct style *s, enum tone t);
const char *tone_off(const struct style *s);
bool tone_is_code(const char *s); /* is it one of theirs, the very octets? */

enum { TIME_TEXT_MAX = 32 };
/* RFC 3339 in UTC. */
void time_to_text(int64_t t, char out[static TIME_TEXT_MAX]);
bool time_from_text(const char *text, int64_t *out);
/* The same, or how long ago: "90s", "30m", "2h", "7d". */
bool time_from_words(const char *text, int64_t now, int64_t *out);

/*
 * A domain as a person types it to A-labels (D10): lower case, no trailing dot. On an error `error`
 * says what is wrong.
 */
bool domain_from_text(const char *text, char *out, size_t room, char *error, size_t error_room);
/* An address literal in its normal form (wire/destination.h). */
bool literal_from_text(const char *text, char out[static DESTINATION_ROOM], char *error,
		       size_t error_room);

/* --- Facts as JSON and words (facts.c) --- */

struct tls_facts;
struct tlsa_set;
struct tls_match;
/* "tls": the facts; null when f is NULL or no handshake got that far. */
void tls_json_set(struct json *obj, const struct tls_facts *f);
/* "matched": the record and the certificate; m NULL: null. */
void match_json_set(struct json *obj, const struct tls_match *m);
struct json *tlsa_records_json(const struct tlsa_set *s);
void match_to_text(const struct tls_match *m, struct buf *out);
/* The sentence of the outcome table, and behind a colon the detail (NULL or "": none). */
void reason_to_text(enum reason r, const char *detail, struct buf *out);

#endif
