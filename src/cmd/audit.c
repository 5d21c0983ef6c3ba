/* SPDX-License-Identifier: MIT */
/* danelaw audit: what the relay did, from the records that it left. This file: arguments. */
#include "cmd/audit.h"

#include "loop/loop.h"
#include "relay/keeper_audit.h"

#include <getopt.h>
#include <limits.h>
#include <string.h>
#include <sysexits.h>

static const struct opt options[] = {
    {'j', "json", NULL, "print JSON, one object a line"},
    {0, "file", "FILE", "read this file instead of the relay's"},
    {0, "domain", "DOMAIN", "only this next hop"},
    {0, "host", "HOST", "only this MX host"},
    {0, "since", "TIME", "only from then on: RFC 3339, or an age like 30m, 2h, 7d"},
    {0, "until", "TIME", "only up to then"},
    {0, "reason", "REASON", "only what ended so; see danelaw-check(1)"},
    {0, "policy", "POLICY", "only dane, encrypt, may, skip, pkix or local"},
    {0, "continuity", "WORD", "only same-certificate, unauthorised-change ..."},
    {0, "type", "TYPE", "only attempt, override, selfcheck or checkpoint"},
    {'n', "limit", "N", "at most so many, the newest (default 1000)"},
    {'f', "follow", NULL, "list: go on with what comes"},
    {0, "head", "N:HASH", "verify: this record must be in the chain"},
    {0, "anchor", "FILE", "prove: the trust anchor (default dns.anchor)"},
    {0, "out", "FILE", "prove: also write the evidence to this file"},
};
enum {
	OPT_JSON,
	OPT_FILE,
	OPT_DOMAIN,
	OPT_HOST,
	OPT_SINCE,
	OPT_UNTIL,
	OPT_REASON,
	OPT_POLICY,
	OPT_CONTINUITY,
	OPT_TYPE,
	OPT_LIMIT,
	OPT_FOLLOW,
	OPT_HEAD,
	OPT_ANCHOR,
	OPT_OUT,
};

static const struct usage usage = {
    .synopsis = "audit [OPTIONS] ACTION [ARGUMENT]",
    .summary = "Shows what the relay did, and whether its records are as they were written.",
    .opt = options,
    .nopt = sizeof(options) / sizeof(options[0]),
    .more =
	"Actions:\n"
	"  list              records, one a line\n"
	"  show N            everything about one record\n"
	"  peers             each host: the keys it presented, when, and what authorised them\n"
	"  changes           which hosts changed keys (--since, default one day), what nothing "
	"authorised first\n"
	"  verify            is the whole chain as it was written?\n"
	"  export            JSON Lines with which others can verify it\n"
	"  prove [N]         prove offline that the TLSA records of record N, or of the evidence "
	"in --file, were authentic\n\n"
	"Exit: 0 yes or done, 1 verify: the chain is broken, prove: not proven, changes: something "
	"that "
	"nothing authorised,\n64 usage, 66 no such file or "
	"record, 75 busy.",
};

enum operand { NO_OPERAND, OPERAND, MAY_OPERAND };

static const struct {
	const char *name;
	int (*run)(struct audit_query *q);
	enum operand operand;
} actions[] = {
    {"list", audit_list, NO_OPERAND},     {"show", audit_show, OPERAND},
    {"peers", audit_peers, NO_OPERAND},   {"changes", audit_changes, NO_OPERAND},
    {"verify", audit_verify, NO_OPERAND}, {"export", audit_export, NO_OPERAND},
    {"prove", audit_prove, MAY_OPERAND},
};
enum { NACTIONS = sizeof(actions) / sizeof(actions[0]) };

static bool set_number(struct cmd *c, const char *text, uint64_t *out)
{
	if (slice_to_u64(slice_str(text), 1000000, out) && *out > 0)
		return true;
	cmd_fail(c, EX_USAGE, "--limit: '%s' is not a number from 1 to 1000000", text);
	return false;
}

static bool set_time(struct cmd *c, const char *option, const char *text, int64_t *out)
{
	int64_t seconds;
	if (time_from_words(text, loop_wall_s(), &seconds)) {
		*out = seconds * 1000;
		return true;
	}
	cmd_fail(c, EX_USAGE,
		 "--%s: '%s' is neither a time like 2026-01-31T12:00:00Z nor an age like 2h",
		 option, text);
	return false;
}

static bool set_word(struct audit_query *q, const char *text)
{
	enum continuity c;
	q->continuity = text;
	if (continuity_from_name(text, &c))
		return true;
	cmd_fail(q->cmd, EX_USAGE, "--continuity: '%s' is none; see danelaw-audit(1)", text);
	return false;
}

static bool set_option(struct audit_query *q, int o, const char *value)
{
	switch (o) {
	case OPT_JSON:
		q->json = true;
		return true;
	case OPT_FOLLOW:
		q->follow = true;
		return true;
	case OPT_SINCE:
		if (!set_time(q->cmd, "since", value, &q->since))
			return false;
		q->since -= q->since == 0; /* 0: not given */
		return true;
	case OPT_UNTIL:
		return set_time(q->cmd, "until", value, &q->until);
	case OPT_LIMIT:
		return set_number(q->cmd, value, &q->limit);
	case OPT_CONTINUITY:
		return set_word(q, value);
	default: {
		const char **const texts[] = {
		    [OPT_FILE] = &q->file,     [OPT_DOMAIN] = &q->domain, [OPT_HOST] = &q->host,
		    [OPT_REASON] = &q->reason, [OPT_POLICY] = &q->policy, [OPT_TYPE] = &q->type,
		    [OPT_HEAD] = &q->head,     [OPT_ANCHOR] = &q->anchor, [OPT_OUT] = &q->out};
		*texts[o] = value;
		return true;
	}
	}
}

/* Names in records are A-labels; what is no name, such as an [address], is looked for as it is. */
static const char *as_recorded(const char *text, char out[static AUDIT_TEXT_MAX + 1])
{
	char error[CMD_ERROR_MAX];
	if (text == NULL || !domain_from_text(text, out, AUDIT_TEXT_MAX + 1, error, sizeof(error)))
		return text;
	return out;
}

static int open_store(struct audit_query *q)
{
	char path[PATH_MAX], error[CMD_ERROR_MAX];
	audit_path(q->cmd->conf, path, sizeof(path));
	enum store_status s = store_audit_open_read(q->file != NULL ? q->file : path, &q->store,
						    error, sizeof(error));
	if (s == STORE_OK)
		return EX_OK;
	if (s == STORE_NOT_FOUND && q->file == NULL)
		return cmd_fail(q->cmd, EX_NOINPUT,
				"%s; has the relay run here? audit.store and relay.store say where "
				"it is",
				error);
	return cmd_fail(q->cmd, s == STORE_BUSY ? EX_TEMPFAIL : EX_NOINPUT, "%s", error);
}

static int run(struct audit_query *q, const char *action)
{
	int n = q->cmd->argc - optind - 1;
	for (size_t i = 0; i < NACTIONS; i++) {
		if (strcmp(actions[i].name, action) != 0)
			continue;
		enum operand wanted = actions[i].operand;
		if (n > (wanted == NO_OPERAND ? 0 : 1) || (n == 0 && wanted == OPERAND))
			return cmd_fail(q->cmd, EX_USAGE,
					wanted == OPERAND ? "%s: say which record: its number"
							  : "%s: too many arguments",
					action);
		q->domain = as_recorded(q->domain, q->names[0]);
		q->host = as_recorded(q->host, q->names[1]);
		q->operand = n > 0 ? q->cmd->argv[optind + 1] : NULL;
		bool elsewhere = wanted == MAY_OPERAND && n == 0;
		int code = elsewhere ? EX_OK : open_store(q);
		if (code == EX_OK)
			code = actions[i].run(q);
		store_audit_close(&q->store);
		return code;
	}
	return cmd_fail(q->cmd, EX_USAGE, "unknown action '%s'; see 'danelaw audit --help'",
			action);
}

int cmd_audit(struct cmd *c)
{
	struct audit_query q = {
	    .cmd = c, .now = loop_wall_ms(), .until = INT64_MAX, .limit = AUDIT_LIMIT_DEFAULT};
	const char *value;
	for (int o; (o = opts_next("danelaw audit", &usage, c->argc, c->argv, false, &value)) !=
		    OPTS_END;) {
		if (o == OPTS_HELP)
			return EX_OK;
		if (o == OPTS_BAD || !set_option(&q, o, value))
			return EX_USAGE;
	}
	if (optind >= c->argc)
		return cmd_fail(c, EX_USAGE,
				"say what to do: list, show N, verify ...; see 'danelaw audit "
				"--help'");
	return run(&q, c->argv[optind]);
}
