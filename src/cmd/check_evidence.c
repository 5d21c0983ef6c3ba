/* SPDX-License-Identifier: MIT */
/* Collects the evidence of a checked domain and writes it. */
#include "cmd/check_evidence.h"

#include "cmd/audit.h"
#include "dnssec/dnssec.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>

static int save(struct check_evidence *x, const struct evidence *e)
{
	char error[CMD_ERROR_MAX];
	struct dnssec_anchors *a =
	    dnssec_anchors_read(x->cmd->conf->dns_anchor, error, sizeof(error));
	bool ok = evidence_save(e, a, x->path);
	int why = errno;
	dnssec_anchors_free(&a);
	return ok ? EX_OK
		  : cmd_fail(x->cmd, EX_CANTCREAT, "cannot write %s: %s", x->path, strerror(why));
}

static void on_evidence(void *arg, const struct evidence *e, const char *why)
{
	struct check_evidence *x = arg;
	x->code = e != NULL ? save(x, e) : cmd_fail(x->cmd, EX_UNAVAILABLE, "no evidence: %s", why);
	loop_stop(x->engine->loop);
}

bool check_evidence_start(struct check_evidence *x, const struct check *c)
{
	for (size_t i = 0; i < c->nhost; i++) {
		if (!evidence_possible(plan_host(c->plan, i)))
			continue;
		x->run = evidence_start(x->engine, c->plan, plan_host(c->plan, i), loop_wall_s(),
					on_evidence, x);
		if (x->run == NULL)
			x->code = cmd_fail(x->cmd, EX_UNAVAILABLE,
					   "no evidence: the answers about host %s cannot be kept",
					   c->host[i].plan->name);
		return x->run != NULL;
	}
	x->code = cmd_fail(x->cmd, EX_UNAVAILABLE,
			   "no evidence: no host of %s has TLSA records that DNSSEC proves",
			   c->request.domain);
	return false;
}
