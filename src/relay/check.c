/* SPDX-License-Identifier: MIT */
/* What can be found wrong in the configuration of the relay before a process depends on it. */
#include "relay/certificates.h"
#include "relay/keeper_audit.h"
#include "relay/network.h"
#include "relay/postmaster.h"
#include "relay/process.h"
#include "relay/published.h"
#include "relay/relay.h"

#include "dns/dns.h"
#include "engine/credentials.h"
#include "relay/recipients.h"
#include "users/users.h"
#include "wire/destination.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

enum { ERROR_ROOM = 512 };

static bool check_listeners(const char *const *list)
{
	struct ipaddr address;
	uint16_t port;
	bool ok = true;
	for (size_t i = 0; list[i] != NULL; i++) {
		if (endpoint_from_text(list[i], &address, &port))
			continue;
		fprintf(stderr, "danelaw relay: '%s' is not ADDRESS:PORT or [ADDRESS]:PORT\n",
			list[i]);
		ok = false;
	}
	return ok;
}

static bool check_networks(const char *const *list)
{
	struct network network;
	bool ok = true;
	for (size_t i = 0; list[i] != NULL; i++) {
		if (network_from_text(list[i], &network))
			continue;
		fprintf(stderr,
			"danelaw relay: relay.networks: '%s' is not ADDRESS or ADDRESS/BITS\n",
			list[i]);
		ok = false;
	}
	return ok;
}

static bool check_certificates(const struct conf *c)
{
	char error[ERROR_ROOM] = "";
	if (c->relay_certificate[0] == NULL)
		return true;
	struct tls_server *s = certificates_load(c, TLS_SERVER_RELAY, error, sizeof(error));
	if (s == NULL)
		fprintf(stderr, "danelaw relay: relay.certificate: %s\n", error);
	bool ok = s != NULL;
	tls_server_free(&s);
	return ok;
}

/* Without it the keeper could neither record nor be confined. */
static bool check_audit(const struct conf *c)
{
	char path[PATH_MAX];
	struct stat st;
	if (!c->audit_enabled || c->audit_store == NULL) /* beside relay.store */
		return true;
	audit_path(c, path, sizeof(path));
	const char *folder = dirname(path);
	if (stat(folder, &st) == 0 && S_ISDIR(st.st_mode))
		return true;
	fprintf(stderr,
		"danelaw relay: audit.store: there is no folder %s; make it, writable by "
		"relay.user, or name another file\n",
		folder);
	return false;
}

static bool check_users(const struct conf *c)
{
	char error[ERROR_ROOM] = "";
	if (c->relay_users == NULL)
		return true;
	struct users *u = users_load(c->relay_users, error, sizeof(error));
	if (u == NULL)
		fprintf(stderr, "danelaw relay: relay.users: %s\n", error);
	bool ok = u != NULL;
	users_free(&u);
	return ok;
}

static bool check_recipients(const struct conf *c)
{
	char error[ERROR_ROOM];
	bool ok = true;
	for (size_t i = 0; i < c->ndestination; i++) {
		const struct conf_destination *d = &c->destination[i];
		if (d->verify_recipients == VERIFY_NO)
			continue;
		snprintf(error, sizeof(error), "name a file of recipients");
		struct recipients *r = d->recipients != NULL
					   ? recipients_load(d->recipients, error, sizeof(error))
					   : NULL;
		if (r == NULL)
			fprintf(
			    stderr,
			    "danelaw relay: destination \"%s\": verify-recipients = table: %s\n",
			    d->pattern, error);
		ok = ok && r != NULL;
		recipients_free(&r);
	}
	return ok;
}

static bool check_credentials(const struct conf *c)
{
	char error[ERROR_ROOM] = "";
	if (c->smtp_credentials == NULL)
		return true;
	struct credentials *k = credentials_load(c->smtp_credentials, error, sizeof(error));
	if (k == NULL)
		fprintf(stderr, "danelaw relay: smtp.credentials: %s\n", error);
	bool ok = k != NULL;
	credentials_free(&k);
	return ok;
}

/* M1: such mail would wait until it comes back. */
static bool check_routes(const struct conf *c)
{
	bool ok = true;
	for (size_t i = 0; i < c->ndestination; i++) {
		const struct conf_destination *d = &c->destination[i];
		char name[DESTINATION_ROOM];
		struct dane_policy p;
		snprintf(name, sizeof(name), "%s", d->pattern);
		if (name[0] == '*')
			name[0] = 'x'; /* one of those below */
		conf_policy_for(c, name, &p);
		if (p.level != LEVEL_DANE_ONLY || !conf_has_submission(c, name))
			continue;
		fprintf(stderr,
			"danelaw relay: destination \"%s\": level dane-only and the route %s "
			"exclude each other: a submission server is verified by a CA, not by "
			"DANE; choose another level for this destination\n",
			d->pattern, d->route);
		ok = false;
	}
	return ok;
}

static bool check_names(const struct conf *c)
{
	char error[ERROR_ROOM] = "";
	struct published p;
	bool ok = published_load(&p, c, error, sizeof(error));
	if (!ok)
		fprintf(stderr, "danelaw relay: %s\n", error);
	else
		published_free(&p);
	return ok;
}

/* The resolver would refuse to start with it. */
static bool check_resolver(const struct conf *c)
{
	const char *unsafe = dns_unsafe_option(c->dns_unbound);
	if (unsafe == NULL || c->dns_unsafe || c->dns_unbound_typed)
		return true;
	fprintf(stderr,
		"danelaw relay: dns.unbound: \"%s\" may turn DNSSEC validation off or put answers "
		"in its place; leave it out, or say dns.unsafe = yes\n",
		unsafe);
	return false;
}

static bool check_postmaster(const struct conf *c)
{
	char host[256];
	if (c->relay_postmaster == NULL)
		return true;
	process_host(c, host, sizeof(host));
	const char *why = postmaster_complaint(c->relay_postmaster, host);
	if (why != NULL)
		fprintf(stderr, "danelaw relay: relay.postmaster: '%s': %s\n", c->relay_postmaster,
			why);
	return why == NULL;
}

void relay_warn(const struct conf *c)
{
	bool listens = c->relay_smtp[0] != NULL || c->relay_submission[0] != NULL ||
		       c->relay_submissions[0] != NULL;
	if (listens && c->relay_postmaster == NULL)
		fprintf(stderr,
			"danelaw relay: warning: relay.postmaster is empty: mail for <postmaster> "
			"will wait at its clients; name the address that gets it\n");
}

bool relay_check(const struct conf *c)
{
	bool listeners = check_listeners(c->relay_smtp);
	listeners = check_listeners(c->relay_submission) && listeners;
	listeners = check_listeners(c->relay_submissions) && listeners;
	bool networks = check_networks(c->relay_networks);
	bool certificates = check_certificates(c);
	bool audit = check_audit(c);
	bool routes = check_routes(c);
	routes = check_credentials(c) && routes;
	routes = check_recipients(c) && routes;
	bool names = check_names(c);
	names = check_postmaster(c) && names;
	names = check_resolver(c) && names;
	return check_users(c) && names && audit && routes && certificates && networks && listeners;
}
