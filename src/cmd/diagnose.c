/* SPDX-License-Identifier: MIT */
/*
 * After lookups failed: is it their zone or our resolver? Asks for the root's keys, which every
 * validation needs.
 */
#include "cmd/cmd.h"

#include "engine/engine.h"

struct diagnosis {
	struct engine *engine;
	struct answer *answer;
};

static void on_answer(void *arg, struct answer *a)
{
	struct diagnosis *d = arg;
	if (a != NULL)
		d->answer = answer_ref(a);
	loop_stop(d->engine->loop);
}

static void report(const struct cmd *c, const struct answer *a)
{
	const struct conf *f = c->conf;
	const char *where = f->dns_forward != NULL ? f->dns_forward : f->dns_stub;
	const char *option = f->dns_forward != NULL ? "dns.forward" : "dns.stub";
	if (a->bogus)
		cmd_fail(c, 0,
			 "the root zone does not validate with the trust anchor in %s: install "
			 "current anchors (package "
			 "dns-root-data) or correct dns.anchor (%s)",
			 f->dns_anchor[0] != NULL ? f->dns_anchor[0] : "dns.anchor", a->why);
	else if (where != NULL)
		cmd_fail(
		    c, 0,
		    "no usable answer from %s: check %s and that it answers DNSSEC queries (%s)",
		    where, option, a->why);
	else
		cmd_fail(c, 0,
			 "the root name servers cannot be reached: allow port 53 (UDP and TCP) "
			 "outwards, or set dns.forward (%s)",
			 a->why);
}

void diagnose_dns(const struct cmd *c, struct engine *e)
{
	struct diagnosis d = {.engine = e};
	if (dns_ask(e->dns, ".", DNS_DNSKEY, on_answer, &d) == NULL)
		return;
	loop_run(e->loop);
	if (d.answer != NULL && d.answer->status == DNS_FAILED)
		report(c, d.answer);
	answer_unref(&d.answer);
}
