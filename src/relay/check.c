/* SPDX-License-Identifier: MIT */
/* What can be found wrong in the configuration of the relay before a process depends on it. */
#include "relay/certificates.h"
#include "relay/keeper_audit.h"
#include "relay/network.h"
#include "relay/relay.h"

#include "users/users.h"

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

bool relay_check(const struct conf *c)
{
	bool listeners = check_listeners(c->relay_smtp);
	listeners = check_listeners(c->relay_submission) && listeners;
	listeners = check_listeners(c->relay_submissions) && listeners;
	bool networks = check_networks(c->relay_networks);
	bool certificates = check_certificates(c);
	bool audit = check_audit(c);
	return check_users(c) && audit && certificates && networks && listeners;
}
